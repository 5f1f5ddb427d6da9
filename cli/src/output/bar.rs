//! Progress bars: the text bar of a status line, and the bars that move on a terminal (they are silent elsewhere).

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The characters inside the text bar.
const WIDTH: usize = 17;
/// How often per second the bar of an upload is drawn at most.
const DRAWS_A_SECOND: u8 = 10;

/// Returns `[########         ]  50%`, 24 characters. `progress` is the value in the status, such as `50%`.
pub fn of_progress(progress: &str) -> String {
    let percent = progress.trim_end_matches('%').parse::<usize>().unwrap_or(0).min(100);
    let full = "#".repeat(WIDTH * percent / 100);
    format!("[{full:<WIDTH$}] {percent:>3}%")
}

/// Makes a bar for an upload of `total` bytes, on standard error. Without a total it only counts.
pub fn of_upload(file: &str, total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND));
    let template = match total {
        Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{msg} {bytes} {bytes_per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("## "));
    }
    bar.set_message(file.to_owned());
    bar
}

/// Makes a line on standard error that is overwritten while the CLI waits.
pub fn of_waiting() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use super::of_progress;

    #[test]
    fn a_bar_is_always_24_wide_and_full_only_at_100() {
        assert_eq!(of_progress("100%"), "[#################] 100%");
        assert_eq!(of_progress("50%"), "[########         ]  50%");
        assert_eq!(of_progress("99%"), "[################ ]  99%");
        assert_eq!(of_progress(""), "[                 ]   0%");
        assert_eq!(of_progress("900%"), "[#################] 100%");
    }
}
