-- The most that one amount of money of a workspace may be, in micros of any currency; null where it set no limit.
-- money_limit_position: of the event that set it; 0 if none did. So rows from before are as a rebuild makes them.
ALTER TABLE read.workspaces
    ADD COLUMN money_limit          bigint,
    ADD COLUMN money_limit_position bigint NOT NULL DEFAULT 0;
