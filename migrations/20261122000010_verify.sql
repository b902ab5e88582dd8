-- Proofs that the read tables are what the log says: a rebuild aside, compared row by row with the live rows.

-- verifying: filled to be compared, never live, never followed. One that a killed run left is dropped by the next run.
ALTER TABLE read.epochs DROP CONSTRAINT epochs_state_check;
ALTER TABLE read.epochs ADD CONSTRAINT epochs_state_check CHECK (state IN ('building', 'applied', 'verifying', 'dropping'));

-- What the last comparison of each workspace came to, and when one last found no difference. It speaks of one epoch up to one
-- position. problem: why it could not be carried out to its end. sampled: some campaigns only, which proves less.
CREATE TABLE read.verifications (
    projection  text NOT NULL,
    workspace   integer NOT NULL,
    sampled     boolean NOT NULL,
    epoch       integer NOT NULL,
    position    bigint NOT NULL,
    differences bigint NOT NULL,
    problem     text,
    verified_at timestamptz NOT NULL,
    passed_at   timestamptz,
    PRIMARY KEY (projection, workspace, sampled)
);

ALTER TABLE read.verifications OWNER TO highwater_projector;
GRANT SELECT ON read.verifications TO highwater_read;
