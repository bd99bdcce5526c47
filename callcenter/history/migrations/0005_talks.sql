-- Agents' parts of contacts that were held, transferred or had a third party. Every other contact is one
-- agent's from connect to end, and `contacts` tells it all; `agent_talks` shows both alike.

CREATE TABLE talks (
    floor        text             NOT NULL,
    epoch        bigint           NOT NULL,
    sequence     bigint           NOT NULL,
    contact      text             NOT NULL,
    queue        text             NOT NULL,
    agent        text             NOT NULL,
    role         text             NOT NULL,
    since        timestamptz      NOT NULL,
    until        timestamptz      NOT NULL,
    talk_seconds double precision NOT NULL,
    hold_seconds double precision NOT NULL,
    ended        text             NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);
CREATE INDEX talks_by_contact ON talks (contact);
CREATE INDEX talks_by_time ON talks (until);

CREATE VIEW agent_talks AS
SELECT floor, contact, queue, agent, role, since, until, talk_seconds, hold_seconds, ended FROM talks
UNION ALL
SELECT floor, contact, queue, agent, 'served', connected_at, closed_at, talk_seconds, 0, ended_by
FROM contacts
WHERE connected_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM talks
    WHERE talks.floor = contacts.floor AND talks.contact = contacts.contact AND talks.role = 'served'
);
