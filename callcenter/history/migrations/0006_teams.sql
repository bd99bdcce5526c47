-- Teams and who leads them; what leaders and supervisors did to agents and calls that are not their own.

CREATE TABLE teams (
    name       text        PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,31}$'),
    title      text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- An agent is a member of one team at most, and may lead several.
ALTER TABLE agents ADD COLUMN team text REFERENCES teams (name) ON DELETE SET NULL;
ALTER TABLE agents ADD COLUMN supervisor boolean NOT NULL DEFAULT false;
CREATE INDEX agents_by_team ON agents (team);

CREATE TABLE team_leaders (
    team  text NOT NULL REFERENCES teams (name) ON DELETE CASCADE,
    agent text NOT NULL REFERENCES agents (number) ON DELETE CASCADE,
    PRIMARY KEY (team, agent)
);

CREATE TRIGGER teams_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON teams
    FOR EACH STATEMENT EXECUTE FUNCTION people_changed();
CREATE TRIGGER team_leaders_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON team_leaders
    FOR EACH STATEMENT EXECUTE FUNCTION people_changed();

CREATE TABLE interventions (
    floor    text        NOT NULL,
    epoch    bigint      NOT NULL,
    sequence bigint      NOT NULL,
    at       timestamptz NOT NULL,
    by       text        NOT NULL,
    act      text        NOT NULL,
    agent    text        NOT NULL,
    contact  text        NOT NULL,
    queue    text        NOT NULL,
    detail   text        NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);
CREATE INDEX interventions_by_time ON interventions (at);
CREATE INDEX interventions_by_agent ON interventions (agent, at);
