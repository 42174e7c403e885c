--! projection p 1
CREATE TABLE t(a TEXT PRIMARY KEY, n INT DEFAULT 1) STRICT;
--! on a.b c
INSERT INTO t VALUES(:subject, @n) ON CONFLICT DO UPDATE SET n = n + 1; -- x
--! on d
DELETE FROM t WHERE a = 'it''s' OR "a" = :x;
