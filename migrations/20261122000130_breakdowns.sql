-- A source may state totals by dimension. Until now it could state totals alone.

-- What pull sources state by dimension: the newest (stated_at, position) per key, NULL where it was taken back. dimension and
-- second_dimension are the breakdown, in the order of their names, value and second_value the row; '' where there is one
-- dimension. precedence: the place of the breakdown among those whose rows sum to the total, NULL if they do not. Kept for as
-- long as read.statements.
CREATE TABLE read.breakdowns (
    epoch            integer NOT NULL,
    workspace        integer NOT NULL,
    campaign_id      uuid NOT NULL,
    source_id        uuid NOT NULL,
    measure          text NOT NULL,
    grain            text NOT NULL,
    time_zone        text NOT NULL,
    bucket_start     timestamptz NOT NULL,
    dimension        text COLLATE "C" NOT NULL,
    second_dimension text COLLATE "C" NOT NULL,
    value            text COLLATE "C" NOT NULL,
    second_value     text COLLATE "C" NOT NULL,
    bucket_end       timestamptz NOT NULL,
    bucket_date      date,
    precedence       integer,
    total            numeric(38, 0),
    stated_at        timestamptz NOT NULL,
    position         bigint NOT NULL,
    changed_at       timestamptz NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start,
                 dimension, second_dimension, value, second_value)
) PARTITION BY LIST (epoch);
CREATE INDEX breakdowns_by_first ON read.breakdowns (epoch, workspace, dimension, source_id, bucket_start);
CREATE INDEX breakdowns_by_second ON read.breakdowns (epoch, workspace, second_dimension, source_id, bucket_start)
    WHERE second_dimension <> '';
ALTER TABLE read.breakdowns OWNER TO highwater_projector;
GRANT SELECT ON read.breakdowns TO highwater_read;

-- read.statements holds the total that counts: the one that is stated, else the sum of the rows of the first breakdown that the
-- bucket has. Where it has any rows in read.breakdowns, broken_down_at is not NULL; broken_down is that sum, and stated the total
-- that was stated beside it, each with the time of the event that made it. stated_at and position are of the stated total,
-- '-infinity' and 0 if there is none.
ALTER TABLE read.statements
    ADD COLUMN stated numeric(38, 0), ADD COLUMN stated_changed_at timestamptz,
    ADD COLUMN broken_down numeric(38, 0), ADD COLUMN broken_down_at timestamptz;
