-- Parts of a log that wait because an event of theirs cannot be applied, and positions that an operator left out for good.

-- revision: how often something was parked, applied later or left out: what changes rows, or what is said of them, without a
-- new event. It is compared when the checkpoint moves, so that nobody writes rows by an outdated list of what waits, and it
-- is in the version of every answer. revised_at: the position at which it last moved.
ALTER TABLE read.checkpoints
    ADD COLUMN revision integer NOT NULL DEFAULT 0,
    ADD COLUMN revised_at bigint NOT NULL DEFAULT 0;

-- A part: one stream, or what one campaign has in a stream of batches. `position` and `sequence` say where in the log and in
-- the stream its first waiting event is; all later ones of the part wait too, and are found again in the log by the stream.
-- Written in the transaction that moves the checkpoint past the event.
CREATE TABLE read.parked (
    projection    text NOT NULL,
    epoch         integer NOT NULL,
    workspace     integer NOT NULL,
    stream_type   text NOT NULL,
    stream_id     text NOT NULL,
    -- NULL: all of the stream.
    campaign_id   uuid,
    position      bigint NOT NULL,
    sequence      bigint NOT NULL,
    -- How many of its events wait, and where the last of them is.
    waiting       bigint NOT NULL CHECK (waiting > 0),
    last_position bigint NOT NULL,
    reason        text NOT NULL,
    parked_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (projection, epoch) REFERENCES read.epochs ON DELETE CASCADE
);
CREATE UNIQUE INDEX parked_part ON read.parked
    (projection, epoch, workspace, stream_id, stream_type, coalesce(campaign_id, '00000000-0000-0000-0000-000000000000'));

-- What an operator decided to leave out: an event, or what one campaign has in it. It is an input of the projection like the
-- log itself: every epoch leaves it out, so that a rebuild gives the same rows.
CREATE TABLE read.skips (
    projection  text NOT NULL,
    workspace   integer NOT NULL,
    position    bigint NOT NULL,
    -- NULL: all of the event.
    campaign_id uuid,
    reason      text NOT NULL,
    skipped_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX skips_once ON read.skips
    (projection, workspace, position, coalesce(campaign_id, '00000000-0000-0000-0000-000000000000'));

ALTER TABLE read.parked OWNER TO highwater_projector;
ALTER TABLE read.skips OWNER TO highwater_projector;
GRANT SELECT ON read.parked, read.skips TO highwater_read;
