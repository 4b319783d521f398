select distinct enrolled.customer_id
from enrolled
inner join {scores} as score
    on score.customer_id = enrolled.customer_id and score.scoring_id = enrolled.scoring_id
