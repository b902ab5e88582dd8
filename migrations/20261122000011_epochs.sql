-- How long an epoch is kept when nobody reads it any more.
-- keep_old_s: of an epoch that is filled to replace others: for so many seconds these are kept applied, as the way back.
-- drop_at: of an epoch that nobody reads: from when on the projector drops it. NULL while somebody reads it or it is filled.
ALTER TABLE read.epochs
    ADD COLUMN keep_old_s bigint NOT NULL DEFAULT 86400 CHECK (keep_old_s >= 0),
    ADD COLUMN drop_at    timestamptz;
