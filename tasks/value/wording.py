"""What value findings say to a person, in English and Korean."""

from __future__ import annotations

from tasks.findings import Words

CONTRADICTIONS: dict[str, Words] = {
    "alive_for_certain": Words(
        en="ordered once, so alive for certain by BG/NBD, and about to leave by churn",
        ko="한 번 주문하여 BG/NBD로는 확실히 활동 고객이지만, 이탈 모형으로는 떠나기 직전",
    ),
    "leaving_but_valuable": Words(
        en="about to leave by churn, and among the most valuable",
        ko="이탈 모형으로는 떠나기 직전인데 가치는 최상위",
    ),
    "leaving_but_ordering": Words(
        en="about to leave by churn, and sure to order by the purchase model",
        ko="이탈 모형으로는 떠나기 직전인데 구매 모형으로는 곧 주문할 고객",
    ),
    "staying_but_gone": Words(
        en="sure to stay by churn, and gone already by the purchase model",
        ko="이탈 모형으로는 남을 고객인데 구매 모형으로는 이미 떠난 고객",
    ),
    "leaving_but_lasting": Words(
        en="about to leave by churn, and sure to stay by the age of the contract",
        ko="이탈 모형으로는 떠나기 직전인데 계약 기간으로는 남을 고객",
    ),
    "staying_but_ending": Words(
        en="sure to stay by churn, and about to end by the age of the contract",
        ko="이탈 모형으로는 남을 고객인데 계약 기간으로는 곧 끝날 고객",
    ),
}


def say_discount(horizon_days: int, factor: float, margin_share: float) -> Words:
    return Words(
        en=f"Value is {margin_share:.0%} margin of the spend of {horizon_days} days, times"
        f" {factor:.4f} for the waiting, as if it came in evenly.",
        ko=f"가치는 {horizon_days}일 동안의 지출에 마진 {margin_share:.0%}를 곱하고, 고르게"
        f" 들어온다고 보아 할인 계수 {factor:.4f}를 곱한 금액입니다.",
    )


def say_coverage(confidence: float, coverage: float) -> Words:
    return Words(
        en=f"Intervals made for {confidence:.0%} held what {coverage:.1%} of the customers spent in"
        " the last horizon that has passed.",
        ko=f"{confidence:.0%} 구간이 지난 기간 고객 {coverage:.1%}의 실제 지출을 담았습니다.",
    )


def say_no_churn(unscored: int, customers: int) -> Words:
    if unscored >= customers:
        return Words(
            en="Nobody has a churn probability for this night, so value could not be made to agree"
            " with it.",
            ko="이 날짜의 이탈 확률이 없어 가치를 이탈 확률과 맞추지 못했습니다.",
        )
    return Words(
        en=f"{unscored:,} of {customers:,} customers have no churn probability; their value stands"
        " as the value model told it.",
        ko=f"고객 {customers:,}명 중 {unscored:,}명은 이탈 확률이 없어 가치 모형의 값을 그대로"
        " 둡니다.",
    )


def say_no_challengers() -> Words:
    return Words(
        en="The history is too short, or too few ordered, to teach learnt models: only purchase"
        " models stood against the rules.",
        ko="이력이 짧거나 주문 고객이 적어 학습 모형은 빠지고, 구매 모형만 규칙과 겨뤘습니다.",
    )


def say_reconciled(before: str, after: str) -> Words:
    return Words(
        en=f"Made to agree with churn, the total went from {before} to {after}.",
        ko=f"이탈 확률과 맞춘 뒤 총액이 {before}에서 {after}(으)로 바뀌었습니다.",
    )


def say_survival(customers: int, left: int) -> Words:
    return Words(
        en=f"Remaining time is read off a survival curve of {customers:,} tenures, {left:,} of"
        " which have ended (Kaplan-Meier).",
        ko=f"남은 기간은 계약 기간 {customers:,}건(종료 {left:,}건)의 생존 곡선(카플란-마이어)에서"
        " 읽었습니다.",
    )


def say_cross_fitted(folds: int) -> Words:
    return Words(
        en=f"The set has one day and no later one: methods were judged on the next period, each of"
        f" {folds} parts by a curve of the others.",
        ko=f"자료가 하루치뿐이어서, {folds}개 부분으로 나누어 서로의 곡선으로 다음 기간을"
        " 평가했습니다.",
    )
