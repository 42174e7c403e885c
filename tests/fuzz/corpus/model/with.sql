--! projection p 9
CREATE TABLE t(a, b AS (a + 1), CHECK(a > 0));
CREATE INDEX i ON t(b) WHERE a > 1;
--! on e
WITH c(x) AS (VALUES(1)), d AS (SELECT date(x) FROM c) UPDATE t SET a = (SELECT 1 FROM d);
