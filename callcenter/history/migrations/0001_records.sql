-- What is remembered. Every record has one name for ever: (floor, epoch, sequence). The epoch is one engine's
-- time of owning the floor, sequences in it run from 1 without gaps. Times that never came are NULL.

CREATE TABLE contacts (
    floor        text             NOT NULL,
    epoch        bigint           NOT NULL,
    sequence     bigint           NOT NULL,
    contact      text             NOT NULL,
    ani          text             NOT NULL,
    dnis         text             NOT NULL,
    service      text             NOT NULL,
    queue        text             NOT NULL,
    language     text             NOT NULL,
    outcome      text             NOT NULL,
    agent        text             NOT NULL,
    arrived_at   timestamptz      NOT NULL,
    queued_at    timestamptz,
    connected_at timestamptz,
    closed_at    timestamptz      NOT NULL,
    wait_seconds double precision NOT NULL,
    talk_seconds double precision NOT NULL,
    offers       integer          NOT NULL,
    ended_by     text             NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);
CREATE INDEX contacts_by_arrival ON contacts (arrived_at);
CREATE INDEX contacts_by_id ON contacts (contact);
CREATE INDEX contacts_by_ani ON contacts (ani, arrived_at);

CREATE TABLE contact_steps (
    floor    text        NOT NULL,
    epoch    bigint      NOT NULL,
    sequence bigint      NOT NULL,
    contact  text        NOT NULL,
    at       timestamptz NOT NULL,
    step     text        NOT NULL,
    queue    text        NOT NULL,
    agent    text        NOT NULL,
    detail   text        NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);
CREATE INDEX contact_steps_by_contact ON contact_steps (contact, at);

-- A state as it was from `since` until `until`.
CREATE TABLE agent_states (
    floor    text        NOT NULL,
    epoch    bigint      NOT NULL,
    sequence bigint      NOT NULL,
    agent    text        NOT NULL,
    presence text        NOT NULL,
    reason   text        NOT NULL,
    activity text        NOT NULL,
    phone    text        NOT NULL,
    contact  text        NOT NULL,
    queue    text        NOT NULL,
    since    timestamptz NOT NULL,
    until    timestamptz NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);
CREATE INDEX agent_states_by_agent ON agent_states (agent, since);
CREATE INDEX agent_states_by_time ON agent_states (until);

CREATE TABLE night_switches (
    floor    text        NOT NULL,
    epoch    bigint      NOT NULL,
    sequence bigint      NOT NULL,
    at       timestamptz NOT NULL,
    closed   boolean     NOT NULL,
    by       text        NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);

-- Records that this version could not read or PostgreSQL would not take: kept as they came, and why.
CREATE TABLE records_other (
    floor    text   NOT NULL,
    epoch    bigint NOT NULL,
    sequence bigint NOT NULL,
    fault    text   NOT NULL,
    body     bytea  NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);

-- Which sequences of an epoch are here: `callcenter history check` shows the gaps, and the engine
-- forgets what it finds here.
CREATE TABLE records_seen (
    floor text           NOT NULL,
    epoch bigint         NOT NULL,
    seen  int8multirange NOT NULL,
    PRIMARY KEY (floor, epoch)
);
