-- A caller went on from one queue to another. contacts.queue is the last of his queues, first_queue the first
-- where that is another.

ALTER TABLE contacts ADD COLUMN first_queue text NOT NULL DEFAULT '';

CREATE TABLE queue_moves (
    floor        text             NOT NULL,
    epoch        bigint           NOT NULL,
    sequence     bigint           NOT NULL,
    contact      text             NOT NULL,
    at           timestamptz      NOT NULL,
    queue        text             NOT NULL,
    to_queue     text             NOT NULL,
    cause        text             NOT NULL,
    arrived_at   timestamptz      NOT NULL,
    wait_seconds double precision NOT NULL,
    PRIMARY KEY (floor, epoch, sequence)
);
CREATE INDEX queue_moves_by_arrival ON queue_moves (arrived_at);
CREATE INDEX queue_moves_by_contact ON queue_moves (contact);
