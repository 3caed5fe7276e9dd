//! How far long work has come: a bar on a terminal, a line now and then elsewhere, nothing with `--json`. All of it goes to stderr.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::print::Out;
use crate::clock;

/// The progress of one piece of work. Dropping it removes the bar.
pub(crate) struct Progress<'a> {
    what: &'static str,
    out: &'a Out,
    bar: Option<ProgressBar>,
    /// When the next line is due.
    line_at: Instant,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(what: &'static str, out: &'a Out) -> Self {
        let shown = !out.json && io::stderr().is_terminal();
        Self { what, out, bar: shown.then(|| bar(what)), line_at: clock::steady() + LINE_EVERY }
    }

    /// So much of all is done; `total` is 0 as long as nobody knows it.
    pub(crate) fn at(&mut self, done: u64, total: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            None => self.line(done, total),
        }
    }

    fn line(&mut self, done: u64, total: u64) {
        let now = clock::steady();
        if self.out.json || now < self.line_at {
            return;
        }
        self.line_at = now + LINE_EVERY;
        self.out.note(format!("{}: {} %", self.what, percent(done, total)));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {percent:>3} %  {eta}");
    let bar = ProgressBar::new(0).with_message(what);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn percent(done: u64, total: u64) -> u64 {
    done.min(total).saturating_mul(100).checked_div(total).unwrap_or(0)
}

/// The time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentage_of_an_unknown_total_is_zero() {
        assert_eq!([percent(0, 0), percent(5, 0), percent(1, 3), percent(3, 3), percent(4, 3)], [0, 0, 33, 100, 100]);
    }

    #[test]
    fn the_template_of_the_bar_is_one_that_indicatif_has() {
        assert!(ProgressStyle::with_template("{msg} [{wide_bar}] {percent:>3} %  {eta}").is_ok());
        bar("backup").finish_and_clear();
    }
}
