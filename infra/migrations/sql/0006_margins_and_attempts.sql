ALTER TABLE positions ADD COLUMN margin_ratio DOUBLE PRECISION;  -- maintenance margin / margin with unrealized PnL

-- Who guesses at sign-in has to wait, also when the API was started anew. A key is a name, an address, a link or a code,
-- and only its keyed digest stands here: a name may be a password in the wrong field.
CREATE TABLE sign_in_attempts (
  key_digest BYTEA PRIMARY KEY,
  failures INT NOT NULL CHECK (failures >= 0),
  last_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sign_in_attempts_last ON sign_in_attempts (last_at);
