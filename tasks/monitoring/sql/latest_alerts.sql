-- Grain: one row an alert at its latest state, oldest first.
select *
from lake.ledger.alerts
qualify row_number() over (partition by alert_id order by recorded_at desc) = 1
order by raised_at, alert_id
