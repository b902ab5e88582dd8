-- What people ask of a campaign beside its numbers: who did what to it.

-- campaign_model: what was decided of a campaign and what corrections did to it, one row for each event and kind of happening.
-- to_values: what the event made of the campaign's fields, as the domain writes them (what they were before stands in the row
-- before that set them); for corrections, how many there were and what they added. The ids are those of the event's metadata; NULL where nobody said.
CREATE TABLE read.activity (
    epoch          integer NOT NULL,
    workspace      integer NOT NULL,
    campaign_id    uuid NOT NULL,
    position       bigint NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    recorded_at    timestamptz NOT NULL,
    source_id      uuid,
    actor          text,
    correlation_id text,
    causation_id   text,
    traceparent    text,
    to_values      json NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id, position, kind)
) PARTITION BY LIST (epoch);
-- What a field was before a change: the row before it that set the same.
CREATE INDEX activity_by_kind ON read.activity (epoch, workspace, campaign_id, kind, position);
ALTER TABLE read.activity OWNER TO highwater_projector;
GRANT SELECT ON read.activity TO highwater_read;
