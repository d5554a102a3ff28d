-- Settings as commands: what the worker took over, and which of them decided a minute.
CREATE TABLE settings_used (
  version BIGINT NOT NULL,                             -- of settings; 0: the environment alone
  hash TEXT NOT NULL,                                  -- sha256 of values
  values JSONB NOT NULL,                               -- every setting that may change, as it was in force
  taken_at TIMESTAMPTZ NOT NULL DEFAULT now(),         -- wall clock
  PRIMARY KEY (version, hash)
);
ALTER TABLE decisions ADD COLUMN settings_version BIGINT, ADD COLUMN settings_hash TEXT;

-- An overridden promotion (D31) leaves a mark that nobody can take away.
CREATE TABLE model_overrides (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_id UUID NOT NULL REFERENCES models(model_id),
  at TIMESTAMPTZ NOT NULL DEFAULT now(),
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  missing TEXT[] NOT NULL                              -- kinds of evidence there was none of
);
CREATE FUNCTION keep_model_overrides() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'model_overrides: a mark stays' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER model_overrides_stay BEFORE UPDATE OR DELETE ON model_overrides
  FOR EACH ROW EXECUTE FUNCTION keep_model_overrides();

ALTER TABLE model_pointers ADD COLUMN override BOOLEAN NOT NULL DEFAULT FALSE;
CREATE OR REPLACE FUNCTION guard_model_pointer() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  missing TEXT[];
BEGIN
  IF NEW.kind = 'production' THEN
    missing := model_missing_evidence(NEW.model_id);
    IF cardinality(missing) > 0 AND NOT NEW.override THEN
      RAISE EXCEPTION 'model % cannot be production: no passed, unexpired evidence of %',
        NEW.model_id, array_to_string(missing, ', ') USING ERRCODE = 'check_violation';
    END IF;
    NEW.override := cardinality(missing) > 0;          -- with whole evidence nothing is overridden
  ELSE
    NEW.override := FALSE;
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION mark_model_override() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.override THEN
    INSERT INTO model_overrides (model_id, author, reason, missing)
    VALUES (NEW.model_id, NEW.set_by, NEW.reason, model_missing_evidence(NEW.model_id));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER model_override_mark AFTER INSERT OR UPDATE ON model_pointers
  FOR EACH ROW EXECUTE FUNCTION mark_model_override();

-- What an operator changed of a schedule (D42); a schedule without a row is as the code has it.
CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  enabled BOOLEAN NOT NULL DEFAULT TRUE,
  every_ms BIGINT CHECK (every_ms > 0),                -- market time; NULL: as the code has it
  offset_ms BIGINT CHECK (offset_ms >= 0),
  changed_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  changed_by TEXT NOT NULL
);

-- A year of traded rows is searched for those that nobody has explained yet.
CREATE INDEX signals_unexplained ON signals (ts) WHERE decision <> 'FLAT' AND explain IS NULL;
