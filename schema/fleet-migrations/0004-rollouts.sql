-- Rollouts that the service steers. What is signed is the truth; here is what the metadata does not say, and what is
-- to happen next.

-- One row for each published bundle with a plan, once the service has seen it.
CREATE TABLE rollout (
    id              @id@,
    set_name        TEXT NOT NULL,
    profile         TEXT NOT NULL,
    bundle_version  BIGINT NOT NULL,
    sha256          @bytes@ NOT NULL CHECK (length(sha256) = 32),
    seen_s          BIGINT NOT NULL,    -- devices that were registered later do not count

    -- What was signed when the service looked last: a change becomes an event
    signed_version  BIGINT NOT NULL,    -- of the role rollout-SET; 0: none
    signed_stage    BIGINT,             -- NULL, as the next: nothing is signed for this bundle
    signed_state    TEXT,
    signed_s        BIGINT,
    signed_reason   TEXT,
    stalled_since_s BIGINT,             -- NULL: it is not

    -- The step that the signer is asked for. Written before, cleared with the outcome; NULL: none
    intent_from     BIGINT,             -- the version of the role that is to be replaced
    intent_stage    BIGINT,
    intent_state    TEXT CHECK (intent_state IN ('open', 'paused', 'aborted', 'complete')),
    intent_reason   TEXT,
    intent_actor    TEXT,
    intent_s        BIGINT,
    version         BIGINT NOT NULL,
    UNIQUE (set_name, profile, bundle_version, sha256),
    CHECK ((intent_from IS NULL) = (intent_state IS NULL))
);

-- Approvals of one step each. Those of steps that were taken are forgotten; the log has them.
CREATE TABLE rollout_approval (
    id           @id@,
    rollout_id   BIGINT NOT NULL REFERENCES rollout (id),
    from_version BIGINT NOT NULL,
    stage        BIGINT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'complete')),
    kind         TEXT NOT NULL CHECK (kind IN ('api', 'signed')),
    approver     TEXT NOT NULL,         -- who asked, or a public key in base64
    signature    @bytes@ CHECK (length(signature) = 64),    -- NULL: of a user of the API
    reason       TEXT NOT NULL,
    created_s    BIGINT NOT NULL,
    UNIQUE (rollout_id, from_version, stage, state, kind, approver),
    CHECK ((kind = 'signed') = (signature IS NOT NULL))
);

-- Devices whose results do not count. No reference to them, since the entry outlives the device.
CREATE TABLE rollout_excluded (
    id          @id@,
    rollout_id  BIGINT NOT NULL REFERENCES rollout (id),
    account_id  BIGINT NOT NULL,
    device_id   BIGINT NOT NULL,
    device_name TEXT NOT NULL,
    reason      TEXT NOT NULL CHECK (length(reason) BETWEEN 1 AND 256),
    actor       TEXT NOT NULL,
    created_s   BIGINT NOT NULL,
    UNIQUE (rollout_id, device_id)
);
