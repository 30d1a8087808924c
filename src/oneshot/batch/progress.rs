//! How far a batch is, in words. Pure.

use std::time::Duration;

/// `12/200, 3.4 items/s, 20 s left`: of `total` items `done` are done, `before` of them by an earlier run, the others in
/// this time.
pub fn status(done: usize, before: usize, total: usize, elapsed: Duration) -> String {
    let here = done.saturating_sub(before);
    let speed = here as f64 / elapsed.as_secs_f64();
    if here == 0 || !speed.is_finite() {
        return format!("{done}/{total}");
    }
    let left = total.saturating_sub(done) as f64 / speed;
    format!("{done}/{total}, {}, {} left", rate(speed), duration(left))
}

/// Items in a second, or in a minute where that is a fraction.
fn rate(speed: f64) -> String {
    if speed >= 1.0 { format!("{speed:.1} items/s") } else { format!("{:.1} items/min", speed * 60.0) }
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_by_the_speed_of_this_run() {
        let after = |seconds: f64, done| status(done, 2, 200, Duration::from_secs_f64(seconds));
        assert_eq!(after(1.0, 2), "2/200");
        assert_eq!(after(0.0, 12), "12/200");
        assert_eq!(after(2.0, 12), "12/200, 5.0 items/s, 38 s left");
        assert_eq!(after(20.0, 12), "12/200, 30.0 items/min, 6 min 16 s left");
        assert_eq!(after(3600.0, 20), "20/200, 0.3 items/min, 10 h 0 min left");
        assert_eq!(after(99.0, 200), "200/200, 2.0 items/s, 0 s left");
    }
}
