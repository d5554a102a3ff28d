-- Sign-in (issue 5). Nothing here opens a door by itself: secrets are hashed, the second factor's is encrypted with a
-- key that lies outside the database.
ALTER TABLE users
  ADD COLUMN totp_pending TEXT,                        -- encrypted; asked for, not confirmed yet
  ADD COLUMN totp_step BIGINT;                         -- newest step whose code was accepted: none counts twice

ALTER TABLE sessions
  ADD COLUMN number BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE, -- what lists call it
  ADD COLUMN user_agent TEXT,
  ADD COLUMN previous_id TEXT,                         -- before its last change of rights: requests under way still carry it
  ADD COLUMN changed_at TIMESTAMPTZ,
  ALTER COLUMN last_seen_at SET DEFAULT now();
UPDATE sessions SET last_seen_at = created_at WHERE last_seen_at IS NULL;
ALTER TABLE sessions ALTER COLUMN last_seen_at SET NOT NULL;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE api_tokens (
  token_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,                     -- sha256
  user_id UUID REFERENCES users(user_id),              -- NULL: the command line of this machine
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  scopes TEXT[] NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at TIMESTAMPTZ NOT NULL,
  last_used_at TIMESTAMPTZ,
  ended_at TIMESTAMPTZ,
  stepped_up_at TIMESTAMPTZ,                           -- command line only: the second factor of stepped_up_by
  stepped_up_by UUID REFERENCES users(user_id)
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

CREATE TABLE login_links (                             -- one-time links; a used one is deleted
  token_hash TEXT PRIMARY KEY,                         -- sha256
  user_id UUID NOT NULL UNIQUE REFERENCES users(user_id), -- the newest is the one that counts
  expires_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE recovery_codes (                          -- each counts once; a used one is deleted
  user_id UUID NOT NULL REFERENCES users(user_id),
  code_hash TEXT NOT NULL,                             -- sha256
  PRIMARY KEY (user_id, code_hash)
);
