-- The leases of consumers of logs: one row for each process and kind of consumer. The logs are divided among the living holders
-- of one kind by a function of their ids alone, so nothing is written per log: a process renews its rows, reads the others',
-- and knows what is its own.
-- consumer: the kind, with its version where that matters, as 'projection campaign_model 4'. Only holders of the same kind
-- share its logs.
-- session: the backend process that renews the row. It ends with its client, so that a killed process is missed at once;
-- one that is frozen or cut off is missed when its lease is over.
CREATE TABLE log.leases (
    consumer   text NOT NULL,
    holder     uuid NOT NULL,
    name       text NOT NULL,
    session    integer NOT NULL,
    lease      interval NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, holder)
) WITH (fillfactor = 50);

-- A row from the future was renewed before the clock was set back: it is believed for no longer than any other.
CREATE VIEW log.leases_now AS
SELECT l.*, l.renewed_at + l.lease AS until,
       clock_timestamp() - l.renewed_at BETWEEN - l.lease AND l.lease
       AND EXISTS (SELECT FROM pg_stat_get_activity(l.session)) AS is_living
FROM log.leases l;

-- Every role that runs consumers renews its own rows and reads the others'. Only the projector does today.
GRANT SELECT, INSERT, UPDATE, DELETE ON log.leases TO highwater_projector;
GRANT SELECT ON log.leases_now TO highwater_projector;
