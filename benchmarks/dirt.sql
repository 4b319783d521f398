-- One row a rule about rows: how many lines of the file break it, asked of the file itself.
-- Shares nothing with validation: no mapping, no catalogue, no months, no time zone.
with line as (
    select
        *,
        Quantity * Price as amount,
        Invoice like 'C%' or Quantity < 0 as is_return,
        row_number() over (
            partition by Invoice, StockCode, Quantity, InvoiceDate, Price, "Customer ID"
        ) as copy
    from read_parquet($path)
),

fault as (
    select
        unnest([
            {'rule': 'customer_id_present', 'broken': "Customer ID" is null},
            {'rule': 'order_id_present', 'broken': trim(coalesce(Invoice, '')) = ''},
            {'rule': 'ordered_at_present', 'broken': InvoiceDate is null},
            {'rule': 'quantity_present', 'broken': Quantity is null},
            {'rule': 'net_amount_present', 'broken': Price is null},
            {
                'rule': 'ordered_at_plausible',
                'broken': InvoiceDate not between timestamp '2009-12-01' and timestamp '2011-12-31'
            },
            {'rule': 'quantity_in_range', 'broken': abs(Quantity) > 100000},
            {'rule': 'net_amount_in_range', 'broken': abs(amount) > 1000000},
            {'rule': 'return_sign', 'broken': is_return and (Quantity > 0 or amount > 0)},
            {'rule': 'price_not_negative', 'broken': not is_return and Price < 0},
            {'rule': 'price_not_zero', 'broken': not is_return and Price = 0},
            {'rule': 'row_repeated', 'broken': copy > 1},
            {
                'rule': 'in quarantine',
                'broken': "Customer ID" is null or copy > 1 or (not is_return and Price < 0)
                or (is_return and (Quantity > 0 or amount > 0))
            },
            {
                'rule': 'accepted',
                'broken': "Customer ID" is not null and copy = 1 and (is_return or Price >= 0)
                and (not is_return or (Quantity <= 0 and amount <= 0))
            },
            {'rule': 'received', 'broken': true}
        ], recursive := true)
    from line
)

select
    rule,
    count(*) filter (where broken) as lines
from fault
group by rule
