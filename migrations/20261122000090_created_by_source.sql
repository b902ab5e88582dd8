-- The source whose items named a campaign first, if the campaign was created for them.
ALTER TABLE read.campaigns ADD COLUMN created_by_source text;
