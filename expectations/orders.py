"""What one line of an order or of a return must be."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases

COLUMNS = (
    "customer_id",
    "order_id",
    "line_id",
    "ordered_at",
    "product_id",
    "category",
    "channel",
    "quantity",
    "net_amount",
    "discount_amount",
    "currency",
    "is_return",
)


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of `orders`: each rule of `bounds` as one expectation."""
    orders = Phrases("orders", bounds)
    orders.rows()
    orders.exact_columns(*COLUMNS)
    orders.text_present("customer_id", "order_id", "currency")
    orders.present("ordered_at", "quantity", "net_amount", "is_return")
    orders.plausible_time("ordered_at")
    orders.in_range("quantity", "net_amount", "discount_amount")
    orders.currency()
    # A return takes goods and money back, a sale gives goods.
    orders.holds(
        "return_sign",
        "is_return",
        "CASE WHEN is_return THEN quantity <= 0 AND net_amount <= 0 ELSE quantity >= 0 END",
    )
    orders.holds("price_not_negative", "net_amount", "is_return OR net_amount >= 0")
    orders.holds("price_not_zero", "net_amount", "is_return OR net_amount <> 0")
    orders.not_matching("product_code", "product_id")
    orders.distinct("row_repeated", COLUMNS)
    orders.null_shares()
    orders.distributions()
    orders.categories()
    orders.one_currency()
    orders.fresh("ordered_at")
    return orders.suite()
