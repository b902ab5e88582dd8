-- Who acts is an actor: a kind (key, user or system) and an id that is unique within the kind.

-- Until now every actor was a key, named by its id alone.
ALTER TABLE read.activity RENAME COLUMN actor TO actor_id;
ALTER TABLE read.activity ADD COLUMN actor_kind text COLLATE "C";
UPDATE read.activity SET actor_kind = 'key' WHERE actor_id IS NOT NULL;

-- The scope `admin` never allowed anything. Whoever operates Highwater uses the command line, not a key.
ALTER TABLE auth.keys DROP CONSTRAINT keys_scopes_check;
UPDATE auth.keys SET scopes = array_remove(scopes, 'admin');
ALTER TABLE auth.keys ADD CONSTRAINT keys_scopes_check CHECK (scopes <@ ARRAY['command', 'read']);
