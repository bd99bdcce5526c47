-- What came of an agent's part in a contact, each time somebody said so: the last one counts. '' where one was
-- required and none was given; `by` says who gave it, or "limit" (in time) or "leave" (before the agent left).
CREATE TABLE dispositions (
    floor       text        NOT NULL,
    epoch       bigint      NOT NULL,
    sequence    bigint      NOT NULL,
    contact     text        NOT NULL,
    at          timestamptz NOT NULL,
    queue       text        NOT NULL,
    agent       text        NOT NULL,
    disposition text        NOT NULL,
    by          text        NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);
CREATE INDEX dispositions_by_contact ON dispositions (contact, at);
