-- What agents can do, and how much of a queue drawn at random each takes.

CREATE TABLE agent_skills (
    agent text    NOT NULL REFERENCES agents (number) ON DELETE CASCADE,
    skill text    NOT NULL,
    level integer NOT NULL CHECK (level BETWEEN 1 AND 10),
    PRIMARY KEY (agent, skill)
);

CREATE TRIGGER agent_skills_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON agent_skills
    FOR EACH STATEMENT EXECUTE FUNCTION people_changed();

ALTER TABLE agent_queues ADD weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 100);
