-- Agents and their queues. `people_version` rises with every change, so that a floor is told of it.

CREATE TABLE agents (
    number     text        PRIMARY KEY CHECK (number ~ '^[0-9]{1,12}$'),
    name       text        NOT NULL,
    language   text        NOT NULL DEFAULT '',
    pin_hash   text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE agent_queues (
    agent    text    NOT NULL REFERENCES agents (number) ON DELETE CASCADE,
    queue    text    NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (agent, queue)
);

CREATE TABLE people_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint  NOT NULL
);
-- Begins with the time: a database made anew is never mistaken for an older one by a floor that lives on.
INSERT INTO people_version (version) VALUES (extract(epoch FROM now())::bigint);

CREATE FUNCTION people_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE people_version SET version = version + 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER agents_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON agents
    FOR EACH STATEMENT EXECUTE FUNCTION people_changed();
CREATE TRIGGER agent_queues_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON agent_queues
    FOR EACH STATEMENT EXECUTE FUNCTION people_changed();
