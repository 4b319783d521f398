-- Grain: one row a customer of a scoring run, appended and never changed.
insert into lake.main.scores by name select * from ranked_scores order by rank
