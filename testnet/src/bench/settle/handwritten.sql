-- What a bank's programmer would write by hand for PostgreSQL: each payment is an entry of its author's log, two
-- postings, and two balances that change.
CREATE TABLE entry (
    author   BYTEA NOT NULL,
    sequence BIGINT NOT NULL,
    hash     BYTEA NOT NULL,
    PRIMARY KEY (author, sequence),
    CONSTRAINT entry_hash UNIQUE (hash)
);
CREATE TABLE posting (
    account  BYTEA NOT NULL,
    currency CHAR(3) NOT NULL,
    entry    BYTEA NOT NULL,
    minor    BIGINT NOT NULL CHECK (minor <> 0),
    PRIMARY KEY (account, currency, entry)
);
-- Room on each page, so that a balance that changes stays on its page and its index as it is.
CREATE TABLE balance (
    account  BYTEA NOT NULL,
    currency CHAR(3) NOT NULL,
    minor    BIGINT NOT NULL CHECK (minor >= 0),
    PRIMARY KEY (account, currency)
) WITH (fillfactor = 50);
