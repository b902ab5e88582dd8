-- What a source stated is claimed by time before campaign, so that a range of buckets is a range of keys:
-- '<source>/<series>/<grain>/<zone>/<bucket>/<campaign>'. Until now it was '<source>/<campaign>/<grain>/<zone>/<bucket>', and
-- every source had one series, whose id is the source's. An id takes 36 characters.
UPDATE log.claims
SET key = left(key, 37) || left(key, 37) || substr(key, 75) || '/' || substr(key, 38, 36)
WHERE kind = 'statement';

-- A total that its source took back is kept without a value: an older statement must not bring it back, and the bucket changed.
ALTER TABLE read.statements ALTER COLUMN value DROP NOT NULL;
