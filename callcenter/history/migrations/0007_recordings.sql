-- The index of recordings. The floor tells of each one when it ends (state `ended`); the back office joins the
-- two files that Asterisk wrote and stores the result (`stored`), or finds that there is nothing (`missing`).
-- A file whose floor lost its memory is entered by the sweep, with epoch and sequence 0.

CREATE TABLE recordings (
    floor     text        NOT NULL,
    recording text        NOT NULL,
    epoch     bigint      NOT NULL DEFAULT 0,
    sequence  bigint      NOT NULL DEFAULT 0,
    contact   text        NOT NULL,
    queue     text        NOT NULL DEFAULT '',
    agent     text        NOT NULL DEFAULT '',
    began_at  timestamptz NOT NULL,
    ended_at  timestamptz NOT NULL,
    pauses    jsonb       NOT NULL DEFAULT '[]', -- [[from, to], …], seconds after began_at
    consent   text        NOT NULL DEFAULT '',
    asked_by  text        NOT NULL DEFAULT '',
    fault     text        NOT NULL DEFAULT '',
    state     text        NOT NULL DEFAULT 'ended' CHECK (state IN ('ended', 'stored', 'missing', 'removed')),
    path      text        NOT NULL DEFAULT '',   -- below the folder of recordings
    seconds   double precision,
    bytes     bigint,
    sha256    text        NOT NULL DEFAULT '',
    stored_at timestamptz,
    PRIMARY KEY (floor, recording)
);
CREATE INDEX recordings_by_begin ON recordings (floor, began_at);
CREATE INDEX recordings_by_contact ON recordings (contact);
CREATE INDEX recordings_to_join ON recordings (floor, ended_at) WHERE state = 'ended';

-- Who listened to a recording, took a copy of it or removed it.
CREATE TABLE recording_uses (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    floor     text        NOT NULL,
    recording text        NOT NULL,
    who       text        NOT NULL,
    what      text        NOT NULL CHECK (what IN ('played', 'exported', 'removed')),
    detail    text        NOT NULL DEFAULT ''
);
CREATE INDEX recording_uses_by_recording ON recording_uses (floor, recording, at);

-- A recording with its call's numbers. One contact has one closing record; two only when a floor lost its memory.
CREATE VIEW recorded AS
SELECT r.floor, r.recording, r.contact, r.queue, r.agent, r.began_at, r.ended_at, r.pauses, r.consent, r.asked_by,
    r.fault, r.state, r.path, r.seconds, r.bytes, r.sha256,
    coalesce(call.ani, '') AS ani, coalesce(call.dnis, '') AS dnis
FROM recordings AS r LEFT JOIN LATERAL (
    SELECT ani, dnis FROM contacts AS c WHERE c.contact = r.contact AND c.floor = r.floor LIMIT 1
) AS call ON true;
