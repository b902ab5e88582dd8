-- campaign_model: how each campaign's plan changed, one row for each event that set its budget or its state. changed_at: when the
-- command was received. state is NULL in a row that set the budget; the budget is NULL in a row that took it away.
CREATE TABLE read.plan_changes (
    epoch           integer NOT NULL,
    workspace       integer NOT NULL,
    campaign_id     uuid NOT NULL,
    position        bigint NOT NULL,
    changed_at      timestamptz NOT NULL,
    state           text,
    budget_micros   bigint,
    budget_currency text,
    budget_per      text,
    PRIMARY KEY (epoch, workspace, campaign_id, position)
) PARTITION BY LIST (epoch);
ALTER TABLE read.plan_changes OWNER TO highwater_projector;
GRANT SELECT ON read.plan_changes TO highwater_read;
