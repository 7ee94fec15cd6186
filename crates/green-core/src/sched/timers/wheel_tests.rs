//! The wheel against a sorted list.

use super::wheel::Wheel;

/// A small generator, the same numbers every time.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// All that is due at `now`.
fn due(wheel: &mut Wheel<u64>, now: u64) -> Vec<(u64, u64)> {
    std::iter::from_fn(|| wheel.pop(now, |_| ())).collect()
}

#[test]
fn everything_comes_out_in_order_and_at_its_time() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..200 {
        let mut wheel = Wheel::default();
        let mut model = Vec::new();
        let mut now = random(&mut state) >> (round % 60);
        for step in 0..400_u64 {
            let span = random(&mut state) >> (random(&mut state) % 64);
            let at = now.saturating_add(span);
            wheel.push(at, step);
            model.push((at, step));
            if random(&mut state).is_multiple_of(4) {
                now = now.saturating_add(random(&mut state) >> (random(&mut state) % 64));
                model.sort_unstable();
                let n = model.partition_point(|&(at, _)| at <= now);
                let expected: Vec<_> = model.drain(..n).collect();
                assert_eq!(due(&mut wheel, now), expected);
                assert_eq!(wheel.len(), model.len());
                let first = model.first().map(|&(at, _)| at);
                assert!(wheel.earliest() <= first && wheel.earliest().is_some() == first.is_some());
                wheel.settle(|_, _| true, |_, at| Some(at));
                assert_eq!(wheel.earliest(), first);
            }
        }
        model.sort_unstable();
        assert_eq!(due(&mut wheel, u64::MAX), model);
        assert_eq!(wheel.earliest(), None);
    }
}

#[test]
fn equal_times_come_out_as_they_went_in() {
    let mut wheel = Wheel::default();
    for n in 0..100 {
        wheel.push(5 << 40, n);
        // Some are dealt out again meanwhile.
        assert!(wheel.pop((5 << 40) - 1 - (99 - n), |_| ()).is_none());
    }
    let all = due(&mut wheel, 5 << 40);
    assert!(all.iter().map(|&(_, n)| n).eq(0..100));
}

#[test]
fn settling_drops_and_moves() {
    let mut wheel = Wheel::default();
    for n in 0..10 {
        wheel.push(n << 30, n);
    }
    // The even ones are cancelled, the odd ones wait ten times as long.
    let wanted = |n: &u64| (n % 2 == 1).then_some((n * 10) << 30);
    wheel.settle(|n, at| wanted(n) == Some(at), |n, _| wanted(n));
    assert_eq!(wheel.earliest(), Some(10 << 30));
    assert_eq!(wheel.len(), 5, "all had to be looked at");
    wheel.retain(|n, _| *n > 4);
    assert_eq!(wheel.len(), 3);
    let all: Vec<_> = [5, 7, 9].map(|n| ((n * 10) << 30, n)).into();
    assert_eq!(due(&mut wheel, u64::MAX), all);
}

#[test]
fn the_end_of_time_is_accepted() {
    let mut wheel = Wheel::default();
    wheel.push(u64::MAX, 1);
    wheel.push(0, 2);
    assert_eq!(due(&mut wheel, 1), [(0, 2)]);
    assert_eq!(wheel.earliest(), Some(u64::MAX));
    assert_eq!(due(&mut wheel, u64::MAX), [(u64::MAX, 1)]);
}

#[test]
fn a_bucket_that_was_cleared_has_no_past() {
    let mut wheel = Wheel::default();
    let tick = |n: u64| n << 20;
    wheel.push(tick(3), 0);
    wheel.retain(|_, _| false);
    wheel.push(tick(64), 1);
    assert_eq!(due(&mut wheel, tick(64)), [(tick(64), 1)]);
    for n in 0..20 {
        wheel.push(tick(67), n);
    }
    assert_eq!(wheel.earliest(), Some(tick(67)));
}
