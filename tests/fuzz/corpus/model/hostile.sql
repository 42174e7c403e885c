--! projection p 1
CREATE TABLE t(a);
--! on e
ATTACH 'x' AS y; PRAGMA user_version = 1; VACUUM INTO 'z';
INSERT INTO t SELECT load_extension('x') FROM sqlite_master;
