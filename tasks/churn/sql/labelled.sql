-- Grain: one customer at one cut-off with a known outcome.
select labelled.*
from lake.main.{table} as labelled
where labelled.churned is not null
