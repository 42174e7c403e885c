-- Monthly statements of the bank: what moved on each account in each month, in cents.
--
--     bank report examples/bank/monthly.sql ledger.db --svg balances.svg
--     stele project ledger.db examples/bank/monthly.sql --into monthly.db

--! projection monthly 1

CREATE TABLE month(
    month TEXT NOT NULL,                 -- 2025-03, in UTC
    account TEXT NOT NULL,
    deposited INTEGER NOT NULL DEFAULT 0,
    cash INTEGER NOT NULL DEFAULT 0,     -- withdrawn over the counter and at machines
    paid INTEGER NOT NULL DEFAULT 0,     -- withdrawn by paying
    sent INTEGER NOT NULL DEFAULT 0,     -- to other accounts
    received INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(month, account)
) STRICT, WITHOUT ROWID;

--! on bank.money.deposited
INSERT INTO month(month, account, deposited)
VALUES (strftime('%Y-%m', :time / 1000000000, 'unixepoch'), substr(:stream, length('account-') + 1), :amount)
ON CONFLICT DO UPDATE SET deposited = deposited + excluded.deposited;

--! on bank.money.withdrawn
INSERT INTO month(month, account, cash, paid)
VALUES (strftime('%Y-%m', :time / 1000000000, 'unixepoch'), substr(:stream, length('account-') + 1),
        iif(:method = 'cash', :amount, 0), iif(:method = 'payment', :amount, 0))
ON CONFLICT DO UPDATE SET cash = cash + excluded.cash, paid = paid + excluded.paid;

--! on bank.transfer.sent
INSERT INTO month(month, account, sent)
VALUES (strftime('%Y-%m', :time / 1000000000, 'unixepoch'), substr(:stream, length('account-') + 1), :amount)
ON CONFLICT DO UPDATE SET sent = sent + excluded.sent;

--! on bank.transfer.received
INSERT INTO month(month, account, received)
VALUES (strftime('%Y-%m', :time / 1000000000, 'unixepoch'), substr(:stream, length('account-') + 1), :amount)
ON CONFLICT DO UPDATE SET received = received + excluded.received;
