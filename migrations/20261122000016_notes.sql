-- Why a command was given, as the caller said: in words, and where more is written.
ALTER TABLE read.activity
    ADD COLUMN reason   text,
    ADD COLUMN note_url text;
