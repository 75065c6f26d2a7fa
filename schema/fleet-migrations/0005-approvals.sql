-- An approval follows what is signed of its own bundle, by the moment of that, and not the version of the role, which other
-- bundles of the set share. Those that were given before are given again.
DELETE FROM rollout_approval;
ALTER TABLE rollout_approval RENAME COLUMN from_version TO since_s;
