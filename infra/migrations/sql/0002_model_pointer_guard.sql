-- D31: the pointer to production moves only with a complete, fresh evidence bundle, and the database enforces it.
-- models.is_production and models.status follow the pointers, so that they cannot say something else.

CREATE FUNCTION model_missing_evidence(model UUID) RETURNS TEXT[] LANGUAGE sql STABLE AS $$
  SELECT COALESCE(array_agg(needed ORDER BY place), '{}')
  FROM unnest(ARRAY['oos', 'pbo', 'shadow', 'parity', 'drift']) WITH ORDINALITY AS n(needed, place)
  WHERE NOT COALESCE((
    SELECT e.passed AND e.valid_until IS NOT NULL AND e.valid_until > now()
    FROM model_evidence e WHERE e.model_id = model AND e.kind = needed
    ORDER BY e.created_at DESC, e.id DESC LIMIT 1
  ), FALSE)
$$;

CREATE FUNCTION guard_model_pointer() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  missing TEXT[];
BEGIN
  IF NEW.kind = 'production' THEN
    missing := model_missing_evidence(NEW.model_id);
    IF cardinality(missing) > 0 THEN
      RAISE EXCEPTION 'model % cannot be production: no passed, unexpired evidence of %',
        NEW.model_id, array_to_string(missing, ', ') USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER model_pointer_guard BEFORE INSERT OR UPDATE ON model_pointers
  FOR EACH ROW EXECUTE FUNCTION guard_model_pointer();

CREATE FUNCTION follow_model_pointer() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  UPDATE models m SET
    is_production = EXISTS (SELECT 1 FROM model_pointers p WHERE p.model_id = m.model_id AND p.kind = 'production'),
    status = COALESCE(
      (SELECT p.kind FROM model_pointers p WHERE p.model_id = m.model_id
       ORDER BY array_position(ARRAY['production', 'challenger', 'demo'], p.kind) LIMIT 1),
      CASE WHEN m.status = 'retired' THEN 'retired' ELSE 'candidate' END)
  WHERE m.model_id IN (SELECT NEW.model_id UNION SELECT OLD.model_id WHERE TG_OP <> 'INSERT');
  RETURN NULL;
END $$;
CREATE TRIGGER model_pointer_follow AFTER INSERT OR UPDATE ON model_pointers
  FOR EACH ROW EXECUTE FUNCTION follow_model_pointer();

-- A row that claims production without the pointer would be a way around the guard.
CREATE FUNCTION guard_model_flag() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.is_production AND NOT EXISTS (
    SELECT 1 FROM model_pointers p WHERE p.model_id = NEW.model_id AND p.kind = 'production'
  ) THEN
    RAISE EXCEPTION 'model %: is_production follows the production pointer; move the pointer', NEW.model_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER model_flag_guard BEFORE INSERT OR UPDATE OF is_production ON models
  FOR EACH ROW EXECUTE FUNCTION guard_model_flag();
