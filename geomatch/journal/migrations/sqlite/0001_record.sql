CREATE TABLE record (
  seq INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at REAL NOT NULL,
  event INTEGER NOT NULL,
  told INTEGER NOT NULL,
  payload BLOB,
  packed INTEGER NOT NULL,
  payload_hash BLOB NOT NULL,
  previous BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX record_history ON record (event, seq);
CREATE INDEX record_kind ON record (kind, seq);
-- Two processes that both tell of events would be two histories in one chain.
CREATE UNIQUE INDEX record_told_once ON record (event) WHERE told = 1;

CREATE TABLE retention (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  through_seq INTEGER NOT NULL
) STRICT;

CREATE TRIGGER record_follows BEFORE INSERT ON record
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM record)
  OR NEW.previous <> coalesce((SELECT hash FROM record ORDER BY seq DESC LIMIT 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'a record follows the last one'); END;

CREATE TRIGGER record_stays BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'no record is ever deleted'); END;

-- The one change: the payload goes, where a row of retention says so.
CREATE TRIGGER record_holds BEFORE UPDATE ON record
WHEN NEW.payload IS NOT NULL
  OR NEW.seq IS NOT OLD.seq OR NEW.version IS NOT OLD.version OR NEW.kind IS NOT OLD.kind OR NEW.at IS NOT OLD.at
  OR NEW.event IS NOT OLD.event OR NEW.told IS NOT OLD.told OR NEW.packed IS NOT OLD.packed
  OR NEW.payload_hash IS NOT OLD.payload_hash OR NEW.previous IS NOT OLD.previous OR NEW.hash IS NOT OLD.hash
  OR NOT EXISTS (SELECT 1 FROM retention WHERE kind = OLD.kind AND through_seq >= OLD.seq)
BEGIN SELECT RAISE(ABORT, 'no record is ever changed'); END;

CREATE TRIGGER retention_sealed BEFORE INSERT ON retention
WHEN NEW.through_seq >= coalesce((SELECT max(seq) FROM record WHERE kind = 'seal'), 0) OR NEW.kind IN ('seal', 'purge')
BEGIN SELECT RAISE(ABORT, 'only what a seal covers is ever purged'); END;

CREATE TRIGGER retention_stays BEFORE DELETE ON retention
BEGIN SELECT RAISE(ABORT, 'no retention is ever deleted'); END;

CREATE TRIGGER retention_holds BEFORE UPDATE ON retention
BEGIN SELECT RAISE(ABORT, 'no retention is ever changed'); END;
