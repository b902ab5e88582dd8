-- A workspace has a calendar: on which day its weeks begin, with which month its years, and whether its months are made
-- of weeks. calendar_position: of the event that set it; 0 while it is the one that workspaces begin with. So rows from
-- before are as a rebuild makes them.
ALTER TABLE read.workspaces
    ADD COLUMN calendar          json NOT NULL DEFAULT '{"week_start":"monday","year_start":"january"}',
    ADD COLUMN calendar_position bigint NOT NULL DEFAULT 0;

-- The same position beside the checkpoint, for readers: what they remember of a workspace holds while it stays. The table
-- above is partitioned, and a statement that reads heads reads no partitions.
ALTER TABLE read.checkpoints ADD COLUMN calendar_position bigint NOT NULL DEFAULT 0;
