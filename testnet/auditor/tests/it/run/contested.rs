//! The loss rule under a contradiction: who is paid from the reserve, who from the guarantee, and in
//! which order.

use super::making::{self, Draft, Made, Terms};
use super::world::{CLAIM_UNTIL, Person, World, good_day, terms, village};
use super::{breaks, holds};
use hundi_auditor::facts::{Account, Draw};
use hundi_auditor::run::Invariant::LossRule;

/// A payer with 1,000 that has paid 100 below, and then promises one interval twice: 600 to the first
/// payee, 500 to the second. The bank had the 600 first, which leaves 300.
struct Contested {
    world: World,
    people: [Person; 3],
    below: Made,
    paid: Made,
    waits: Made,
    /// What the payer would sign at the contested place.
    draft: Draft,
}

impl Contested {
    fn new(guarantee: u64) -> Self {
        let mut world = World::new();
        let mut people = [11, 12, 13].map(|number| world.person(number));
        world.grant(&people[0], &terms(1, 1_000, guarantee));
        let [payer, first, second] = &mut people;
        world.facts.honest.remove(&payer.author());
        let below = world.pay(payer, first, 100);
        let mut draft = payer.next(1, 600);
        let paid = world.sign(&payer.keys, &draft, &making::payment(first.author()));
        (draft.amount, draft.spent_total) = (500, 600);
        let waits = world.sign(&payer.keys, &draft, &making::payment(second.author()));
        world.through(&paid, payer, first, 600);
        world.arrive(&waits.bytes);
        world.answer(&waits, Some(1), 0, false);
        world.freeze(payer);
        Self { world, people, below, paid, waits, draft }
    }

    /// The payment below comes, and is paid.
    fn below_comes(&mut self) {
        let [payer, first, _] = &self.people;
        self.world.through(&self.below, payer, first, 100);
    }

    fn end_of_claims(&mut self) {
        self.world.clock_s = CLAIM_UNTIL + 1;
    }

    fn draw(&mut self) {
        let (step, clock_s) = (self.world.tick(), self.world.clock_s);
        let author = self.people[0].author();
        self.world.bank().draws.push(Draw { author, clock_s, step });
    }

    /// Pays what waits: what is left of the reserve, and the rest as a claim on the offender.
    fn pay_beyond(&mut self, reserve: i64, guarantee: i64) {
        let [payer, _, second] = &self.people;
        let author = payer.author();
        let moved = [
            (Account::Reserve { author, serial: 1 }, -reserve),
            (Account::DoubleSpendReceivable(payer.customer), -guarantee),
            (Account::PendingIn(second.customer), reserve + guarantee),
        ];
        self.world.post(Some(self.waits.id), &moved);
        self.world.answer(&self.waits, Some(0), (reserve + guarantee) as u64, true);
    }
}

#[test]
fn a_contradiction_from_its_first_entry_to_its_review() {
    let mut of = Contested::new(500);
    holds(&of.world.facts());
    of.below_comes();
    holds(&of.world.facts());
    of.end_of_claims();
    of.draw();
    of.pay_beyond(300, 200);
    holds(&of.world.facts());
}

#[test]
fn below_a_contradiction_everybody_is_paid() {
    let mut of = Contested::new(500);
    of.world.arrive(&of.below.bytes);
    breaks(&of.world.facts(), LossRule, "100, below them, was never paid");
}

#[test]
fn below_a_contradiction_nobody_is_paid_provisionally() {
    let mut of = Contested::new(500);
    of.world.arrive(&of.below.bytes);
    of.end_of_claims();
    let (author, customer) = (of.people[0].author(), of.people[1].customer);
    let moved =
        [(Account::Reserve { author, serial: 1 }, -100), (Account::PendingIn(customer), 100)];
    of.world.post(Some(of.below.id), &moved);
    of.world.answer(&of.below, Some(0), 100, true);
    breaks(&of.world.facts(), LossRule, "100, below them, was paid provisionally only");
}

#[test]
fn what_fits_is_paid_when_it_comes() {
    let mut of = Contested::new(500);
    // 300 are left beside the 100 that are set aside.
    (of.draft.amount, of.draft.spent_total) = (301, 401);
    let [payer, _, second] = &of.people;
    let pay = making::payment(second.author());
    let above = of.world.sign(&payer.keys, &of.draft, &pay);
    of.world.arrive(&above.bytes);
    holds(&of.world.facts());
    (of.draft.amount, of.draft.spent_total) = (300, 400);
    let fits = of.world.sign(&payer.keys, &of.draft, &pay);
    of.world.arrive(&fits.bytes);
    breaks(&of.world.facts(), LossRule, "300, first of those that contradict, was never paid");
    of.world.settle(&fits, payer, second, 300);
    holds(&of.world.facts());
}

#[test]
fn what_does_not_fit_waits() {
    let mut of = Contested::new(500);
    let [payer, _, second] = &of.people;
    // There would be 400 in the reserve, but 100 of them are set aside.
    (of.draft.amount, of.draft.spent_total) = (400, 500);
    let pay = making::payment(second.author());
    let made = of.world.sign(&payer.keys, &of.draft, &pay);
    of.world.through(&made, payer, second, 400);
    breaks(&of.world.facts(), LossRule, "in which less was left");
}

/// Where the documents do not say what a bank does, either is taken.
#[test]
fn what_the_documents_leave_open() {
    // Whether what was refused below stays set aside.
    for paid in [false, true] {
        let mut of = Contested::new(500);
        of.world.tell(&of.people[1], &of.below, 7, 0);
        of.world.arrive(&of.below.bytes);
        of.world.answer(&of.below, Some(21), 0, true);
        let [payer, _, second] = &of.people;
        (of.draft.amount, of.draft.spent_total) = (350, 450);
        let pay = making::payment(second.author());
        let made = of.world.sign(&payer.keys, &of.draft, &pay);
        of.world.arrive(&made.bytes);
        if paid {
            of.world.settle(&made, payer, second, 350);
        }
        holds(&of.world.facts());
    }
    // What lies above a contradiction without being in one.
    for paid in [false, true] {
        let mut of = Contested::new(500);
        let [payer, first, _] = &of.people;
        let draft =
            Draft { sequence: 3, previous: [1; 32], amount: 50, spent_total: 850, ..of.draft };
        let made = of.world.sign(&payer.keys, &draft, &making::payment(first.author()));
        of.world.arrive(&made.bytes);
        if paid {
            of.world.settle(&made, payer, first, 50);
        }
        holds(&of.world.facts());
    }
    // Who is first, if one came before that nobody can open yet.
    for paid in [false, true] {
        let mut of = Contested::new(500);
        let [payer, first, second] = &of.people;
        let (network, sealing) = (of.world.network, of.world.bank_sealing);
        (of.draft.amount, of.draft.spent_total) = (200, 300);
        let pay = making::payment(first.author());
        let closed = making::entry(&network, &payer.keys, &sealing, &of.draft, &pay, Some([3; 32]));
        of.world.note(&closed);
        of.world.arrive(&closed.bytes);
        let pay = making::payment(second.author());
        let made = of.world.sign(&payer.keys, &of.draft, &pay);
        of.world.arrive(&made.bytes);
        if paid {
            of.world.settle(&made, payer, second, 200);
        }
        holds(&of.world.facts());
    }
    // Whether a bank looks at a policy, too.
    for paid in [false, true] {
        let mut world = World::new();
        let [mut payer, payee] = [11, 12].map(|number| world.person(number));
        world.grant(&payer, &Terms { policy: true, ..terms(1, 1_000, 0) });
        let made = world.pay(&mut payer, &payee, 100);
        world.arrive(&made.bytes);
        if paid {
            world.settle(&made, &payer, &payee, 100);
        }
        holds(&world.facts());
    }
    // At claim-until to the second.
    for paid in [false, true] {
        let (mut world, mut people) = village();
        let [payer, first, _] = &mut people;
        let made = world.pay(payer, first, 100);
        world.accept(first, &made, 100);
        world.clock_s = CLAIM_UNTIL;
        world.arrive(&made.bytes);
        if paid {
            world.settle(&made, payer, first, 100);
        } else {
            world.answer(&made, Some(17), 0, true);
        }
        holds(&world.facts());
    }
}

/// What a close gave back before the contradiction came is not there any more.
#[test]
fn what_was_released_is_not_left() {
    let (mut world, mut people, _) = good_day();
    let [payer, first, _] = &mut people;
    world.facts.honest.remove(&payer.author());
    let mut draft = Draft { kind: 4, amount: 0, ..payer.next(1, 0) };
    let close = world.sign(&payer.keys, &draft, &[]);
    world.arrive(&close.bytes);
    let reserve = Account::Reserve { author: payer.author(), serial: 1 };
    world.post(None, &[(reserve, -850), (Account::Customer(payer.customer), 850)]);
    holds(&world.facts());
    (draft.kind, draft.amount, draft.spent_total) = (1, 10, 160);
    let made = world.sign(&payer.keys, &draft, &making::payment(first.author()));
    world.arrive(&made.bytes);
    world.answer(&made, Some(1), 0, false);
    world.freeze(payer);
    holds(&world.facts());
}

/// Nor does what returns after the end of claims tell what was left before.
#[test]
fn what_returns_later_was_left_before() {
    let mut of = Contested::new(500);
    let [payer, _, second] = &of.people;
    (of.draft.amount, of.draft.spent_total) = (300, 400);
    let fits = of.world.sign(&payer.keys, &of.draft, &making::payment(second.author()));
    of.world.arrive(&fits.bytes);
    let reserve = Account::Reserve { author: payer.author(), serial: 1 };
    let customer = Account::Customer(payer.customer);
    of.end_of_claims();
    of.world.post(None, &[(reserve, -400), (customer, 400)]);
    breaks(&of.world.facts(), LossRule, "300, first of those that contradict, was never paid");
}

/// Two documents that contradict each other stop their author, and claim nothing of its grant.
#[test]
fn contradicting_documents_claim_nothing() {
    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    world.facts.honest.remove(&payer.author());
    for body in [[1; 40], [2; 40]] {
        let draft = Draft { kind: 0x81, ..payer.next(1, 0) };
        let made = world.sign(&payer.keys, &draft, &body);
        world.arrive(&made.bytes);
    }
    world.freeze(payer);
    let made = world.pay(payer, first, 100);
    world.arrive(&made.bytes);
    breaks(&world.facts(), LossRule, "100, below them, was never paid");
    world.settle(&made, payer, first, 100);
    holds(&world.facts());
}

/// A contradiction that lies lower than the one before sets less aside.
#[test]
fn the_lowest_start_counts() {
    let mut of = Contested::new(500);
    let [payer, first, second] = &of.people;
    // Another 60 in place of the 100 below: now nothing is set aside, and 400 are left.
    let draft =
        Draft { sequence: 0, previous: [0; 32], amount: 60, spent_total: 60, ..of.draft.clone() };
    let other = of.world.sign(&payer.keys, &draft, &making::payment(second.author()));
    of.world.through(&of.below, payer, first, 100);
    of.world.arrive(&other.bytes);
    breaks(&of.world.facts(), LossRule, "60, first of those that contradict, was never paid");
    of.world.settle(&other, payer, second, 60);
    holds(&of.world.facts());
    (of.draft.amount, of.draft.spent_total) = (240, 340);
    let made = of.world.sign(&payer.keys, &of.draft, &making::payment(second.author()));
    of.world.arrive(&made.bytes);
    breaks(&of.world.facts(), LossRule, "240, first of those that contradict, was never paid");
}

/// Who would fit into the guarantee after all, and who would not for a reason.
#[test]
fn whoever_fits_into_the_guarantee_is_paid() {
    let waiting = |guarantee: u64, amount: u64| {
        let mut of = Contested::new(guarantee);
        of.below_comes();
        let [payer, first, _] = &of.people;
        // All that is left goes to a first one, so that only the guarantee is there.
        (of.draft.amount, of.draft.spent_total) = (300, 400);
        let pay = making::payment(first.author());
        let all = of.world.sign(&payer.keys, &of.draft, &pay);
        of.world.through(&all, payer, first, 300);
        let third = of.world.person(14);
        (of.draft.amount, of.draft.spent_total) = (amount, 100 + amount);
        let pay = making::payment(third.author());
        let made = of.world.sign(&of.people[0].keys, &of.draft, &pay);
        of.world.arrive(&made.bytes);
        (of, third, made)
    };
    let ended = |of: &mut Contested| {
        of.end_of_claims();
        of.draw();
    };
    let (mut of, _, _) = waiting(500, 250);
    ended(&mut of);
    breaks(&of.world.facts(), LossRule, "250 passed over");
    // More than half of it.
    let (mut of, _, _) = waiting(499, 250);
    ended(&mut of);
    holds(&of.world.facts());
    // One that refused, one that knew, one that belongs to the payer.
    let (mut of, third, made) = waiting(500, 250);
    of.world.tell(&third, &made, 7, 0);
    ended(&mut of);
    holds(&of.world.facts());
    let (mut of, third, made) = waiting(500, 250);
    of.world.tell(&third, &made, 0, 2);
    ended(&mut of);
    holds(&of.world.facts());
    let (mut of, third, _) = waiting(500, 250);
    let link = [of.people[0].customer, third.customer];
    of.world.bank().links.push(link);
    ended(&mut of);
    holds(&of.world.facts());
    // One that accepted something else in its place, too.
    let (mut of, third, made) = waiting(500, 250);
    (of.draft.amount, of.draft.spent_total) = (251, 351);
    let pay = making::payment(third.author());
    let other = of.world.sign(&of.people[0].keys, &of.draft, &pay);
    of.world.arrive(&other.bytes);
    of.world.tell(&third, &made, 0, 0);
    of.world.tell(&third, &other, 0, 0);
    ended(&mut of);
    holds(&of.world.facts());
    // The pool is empty.
    let (mut of, _, _) = waiting(500, 250);
    of.world.post(None, &[(Account::GuaranteePool, -5_000), (Account::LossExpense, 5_000)]);
    ended(&mut of);
    holds(&of.world.facts());
}

#[test]
fn who_came_first_is_paid_first() {
    let mut of = Contested::new(500);
    of.below_comes();
    // The bank had the 600 first, and paid the 500 in their place.
    let [payer, _, second] = &of.people;
    let (paid, waits) = (of.paid.id, of.waits.id);
    let bank = of.world.bank();
    bank.transactions.retain(|it| it.entry != Some(paid));
    bank.answers.retain(|it| it.entry != paid && it.entry != waits);
    of.world.settle(&of.waits, payer, second, 500);
    breaks(&of.world.facts(), LossRule, "600, first of those");
}

#[test]
fn payments_are_whole() {
    let mut of = Contested::new(500);
    of.end_of_claims();
    of.draw();
    of.pay_beyond(300, 0);
    breaks(&of.world.facts(), LossRule, "paid 300 of 500, not whole");
}

#[test]
fn the_guarantee_waits_for_the_end_of_claims() {
    let mut of = Contested::new(500);
    of.draw();
    of.pay_beyond(300, 200);
    breaks(&of.world.facts(), LossRule, "before the end of claims");
}

#[test]
fn the_order_is_drawn_after_the_end_of_claims() {
    let mut of = Contested::new(500);
    of.draw();
    of.end_of_claims();
    of.pay_beyond(300, 200);
    breaks(&of.world.facts(), LossRule, "no randomness drawn");
    // Nor after the payment.
    of.draw();
    breaks(&of.world.facts(), LossRule, "no randomness drawn");
}

#[test]
fn whoever_fits_after_the_end_of_claims_is_paid() {
    let mut of = Contested::new(500);
    let [payer, _, second] = &of.people;
    // 301 do not fit beside what is set aside. As nobody claims that, 400 are left in the end.
    (of.draft.amount, of.draft.spent_total) = (301, 401);
    let made = of.world.sign(&payer.keys, &of.draft, &making::payment(second.author()));
    of.world.arrive(&made.bytes);
    of.end_of_claims();
    holds(&of.world.facts());
    of.draw();
    breaks(&of.world.facts(), LossRule, "301 passed over");
}

#[test]
fn one_payee_gets_half_of_a_guarantee_at_most() {
    let mut of = Contested::new(399);
    of.end_of_claims();
    of.draw();
    of.pay_beyond(300, 200);
    breaks(&of.world.facts(), LossRule, "one payee got 200 of a guarantee of 399");
}

#[test]
fn guarantees_stay_within_the_pool() {
    let mut of = Contested::new(500);
    of.end_of_claims();
    of.draw();
    of.world.post(None, &[(Account::GuaranteePool, -4_801), (Account::LossExpense, 4_801)]);
    of.pay_beyond(300, 200);
    breaks(&of.world.facts(), LossRule, "200 open beyond reserves with 199 in the pool");
}

#[test]
fn no_guarantee_for_who_belongs_to_the_payer_or_knew() {
    let mut of = Contested::new(500);
    let link = [of.people[2].customer, of.people[0].customer];
    of.end_of_claims();
    of.draw();
    of.pay_beyond(300, 200);
    of.world.bank().links.push(link);
    breaks(&of.world.facts(), LossRule, "belongs to the payer");

    let mut of = Contested::new(500);
    let [payer, _, second] = &of.people;
    (of.draft.amount, of.draft.spent_total) = (450, 550);
    let other = of.world.sign(&payer.keys, &of.draft, &making::payment(second.author()));
    of.world.arrive(&other.bytes);
    for made in [&other, &of.waits] {
        of.world.tell(second, made, 0, 0);
    }
    of.end_of_claims();
    of.draw();
    holds(&of.world.facts());
    of.pay_beyond(300, 200);
    breaks(&of.world.facts(), LossRule, "accepted what contradicts it");
}

#[test]
fn a_guarantee_without_a_contradiction() {
    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 100);
    world.arrive(&made.bytes);
    world.clock_s = CLAIM_UNTIL + 1;
    let moved = [
        (Account::DoubleSpendReceivable(payer.customer), -100),
        (Account::PendingIn(first.customer), 100),
    ];
    world.post(Some(made.id), &moved);
    world.answer(&made, Some(0), 100, true);
    breaks(&world.facts(), LossRule, "without a contradiction");
}

#[test]
fn contested_is_not_rejected_before_the_end_of_claims() {
    let mut of = Contested::new(0);
    of.world.answer(&of.waits, Some(16), 0, true);
    breaks(&of.world.facts(), LossRule, "outcome 16");
    of.world.bank().answers.pop();
    of.end_of_claims();
    of.draw();
    of.world.answer(&of.waits, Some(16), 0, true);
    holds(&of.world.facts());
}

#[test]
fn reasons_that_are_not_there() {
    for outcome in [17, 18, 19, 20, 21, 22] {
        // Under a contradiction, so that this is no honest loss.
        let mut of = Contested::new(500);
        of.world.answer(&of.waits, Some(outcome), 0, true);
        breaks(&of.world.facts(), LossRule, &format!("outcome {outcome}, for which"));
    }
}

#[test]
fn nothing_returns_under_a_contradiction() {
    let mut of = Contested::new(500);
    let payer = &of.people[0];
    let reserve = Account::Reserve { author: payer.author(), serial: 1 };
    of.world.post(None, &[(reserve, -50), (Account::Customer(payer.customer), 50)]);
    breaks(&of.world.facts(), LossRule, "released at 100, before the end of claims under");
}
