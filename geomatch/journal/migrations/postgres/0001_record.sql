CREATE TABLE record (
  seq bigint PRIMARY KEY,
  version integer NOT NULL,
  kind text NOT NULL,
  at double precision NOT NULL,
  event bigint NOT NULL,
  told boolean NOT NULL,
  payload bytea,
  packed boolean NOT NULL,
  payload_hash bytea NOT NULL,
  previous bytea NOT NULL,
  hash bytea NOT NULL
);
-- Payloads come compressed where it pays.
ALTER TABLE record ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX record_history ON record (event, seq);
CREATE INDEX record_kind ON record (kind, seq);
-- Two processes that both tell of events would be two histories in one chain.
CREATE UNIQUE INDEX record_told_once ON record (event) WHERE told;

CREATE TABLE retention (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  through_seq bigint NOT NULL
);

CREATE FUNCTION record_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last_seq bigint;
  last_hash bytea;
BEGIN
  SELECT seq, hash INTO last_seq, last_hash FROM record ORDER BY seq DESC LIMIT 1;
  IF NEW.seq <> coalesce(last_seq, 0) + 1 OR NEW.previous <> coalesce(last_hash, decode(repeat('00', 32), 'hex')) THEN
    RAISE EXCEPTION 'a record follows the last one';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER record_follows BEFORE INSERT ON record FOR EACH ROW EXECUTE FUNCTION record_follows();

CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'nothing of a journal is ever deleted';
END $$;
CREATE TRIGGER record_stays BEFORE DELETE ON record FOR EACH ROW EXECUTE FUNCTION stays();
CREATE TRIGGER record_stays_whole BEFORE TRUNCATE ON record FOR EACH STATEMENT EXECUTE FUNCTION stays();

-- The one change: the payload goes, where a row of retention says so.
CREATE FUNCTION record_holds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.payload IS NOT NULL
    OR (NEW.seq, NEW.version, NEW.kind, NEW.at, NEW.event, NEW.told, NEW.packed, NEW.payload_hash, NEW.previous, NEW.hash)
      IS DISTINCT FROM
       (OLD.seq, OLD.version, OLD.kind, OLD.at, OLD.event, OLD.told, OLD.packed, OLD.payload_hash, OLD.previous, OLD.hash)
    OR NOT EXISTS (SELECT 1 FROM retention WHERE kind = OLD.kind AND through_seq >= OLD.seq)
  THEN
    RAISE EXCEPTION 'no record is ever changed';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER record_holds BEFORE UPDATE ON record FOR EACH ROW EXECUTE FUNCTION record_holds();

CREATE FUNCTION retention_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.through_seq >= coalesce((SELECT max(seq) FROM record WHERE kind = 'seal'), 0) OR NEW.kind IN ('seal', 'purge')
  THEN
    RAISE EXCEPTION 'only what a seal covers is ever purged';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER retention_sealed BEFORE INSERT ON retention FOR EACH ROW EXECUTE FUNCTION retention_sealed();

CREATE FUNCTION holds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'no retention is ever changed';
END $$;
CREATE TRIGGER retention_holds BEFORE UPDATE ON retention FOR EACH ROW EXECUTE FUNCTION holds();
CREATE TRIGGER retention_stays BEFORE DELETE ON retention FOR EACH ROW EXECUTE FUNCTION stays();
CREATE TRIGGER retention_stays_whole BEFORE TRUNCATE ON retention FOR EACH STATEMENT EXECUTE FUNCTION stays();
