//! `skirl evaluate --render`: the episodes that were played, as pictures.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl::evaluate::Evaluation;
use skirl::film::{Film, FilmedEpisode, MAX_PICTURES};
use skirl_draw::animation::MAX_GIF_FPS;
use skirl_draw::{Animation, DrawError, Image};

use crate::args::RenderArgs;
use crate::exit::{ExitStatus, Failure};
use crate::number::grouped;
use crate::output;

/// Seconds for which an animation shows the end of an episode before it goes on.
const HOLD_S: f64 = 1.0;

/// Pictures that were asked for, checked before anything is played.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    args: &'a RenderArgs,
    target: Target<'a>,
}

#[derive(Debug)]
enum Target<'a> {
    Gif(&'a Path),
    Frames(&'a Path),
}

/// Pictures that were written.
#[derive(Debug)]
pub(crate) struct Rendered {
    path: PathBuf,
    episodes: usize,
    frames: usize,
    fps: f64,
}

impl<'a> Order<'a> {
    /// What the flags ask for, if anything.
    pub(crate) fn of(args: &'a RenderArgs) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.render else { return Ok(None) };
        let target = Target::of(path)?;
        if args.render_episodes == Some(0) {
            return Err(Failure::usage("--render-episodes = 0: must be at least 1"));
        }
        let most = if matches!(target, Target::Gif(_)) { MAX_GIF_FPS } else { 1000.0 };
        if let Some(fps) = args.render_fps.filter(|fps| !(0.1..=most).contains(fps)) {
            let why = if most == MAX_GIF_FPS { "; viewers play faster GIFs slowly" } else { "" };
            return Err(Failure::usage(format!("--render-fps = {fps}: expected 0.1 to {most}{why}")));
        }
        target.prepare()?;
        Ok(Some(Self { args, target }))
    }

    /// Evaluates with a camera and writes the pictures. What was played is told even if they cannot be written.
    pub(crate) fn play(
        &self,
        algorithm: &mut Algorithm,
        request: &EvaluateRequest,
    ) -> Result<(Evaluation, Result<Rendered, Failure>), Failure> {
        let episodes = self.args.render_episodes.unwrap_or(1);
        let filmed = algorithm.evaluate_filmed(request, episodes);
        let (evaluation, film) = filmed.map_err(|error| Failure::while_running(&error))?;
        Ok((evaluation, self.write(&film)))
    }

    fn write(&self, film: &Film) -> Result<Rendered, Failure> {
        let episodes = film.episodes();
        if episodes.iter().any(|episode| !episode.ended && episode.scenes.len() == MAX_PICTURES) {
            output::remark(&format!(
                "warning: an episode is filmed up to step {}",
                grouped(MAX_PICTURES as u64)
            ));
        }
        let own = episodes.first().and_then(|episode| episode.scenes.first()).map_or(30.0, |scene| scene.fps);
        let fps = self.args.render_fps.unwrap_or(own.clamp(0.1, MAX_GIF_FPS));
        let frames = episodes.iter().map(|episode| episode.scenes.len()).sum();
        let path = match self.target {
            Target::Gif(path) => self.write_gif(&episodes, fps, path)?,
            Target::Frames(directory) => self.write_frames(&episodes, directory)?,
        };
        Ok(Rendered { path: path.to_owned(), episodes: episodes.len(), frames, fps })
    }

    fn write_gif<'p>(
        &self,
        episodes: &[FilmedEpisode],
        fps: f64,
        path: &'p Path,
    ) -> Result<&'p Path, Failure> {
        let mut animation = Animation { size: self.args.render_size, ..Animation::default() };
        for episode in episodes {
            animation.push_episode(&episode.scenes, fps, if episode.ended { HOLD_S } else { 0.0 });
        }
        let mut gif = Vec::new();
        animation.write_gif(&mut gif).map_err(|error| undrawable(&error))?;
        // Under another name first: an older film is replaced by a whole one or not at all.
        let part = part_of(path);
        let written = fs::write(&part, gif).and_then(|()| fs::rename(&part, path));
        written.map_err(|error| {
            let _ = fs::remove_file(&part);
            unwritable(path, &error)
        })?;
        Ok(path)
    }

    fn write_frames<'p>(&self, episodes: &[FilmedEpisode], directory: &'p Path) -> Result<&'p Path, Failure> {
        for (number, episode) in episodes.iter().enumerate() {
            for (step, scene) in episode.scenes.iter().enumerate() {
                let image = Image::of_scene(scene, self.args.render_size);
                let png = image.and_then(|image| image.to_png()).map_err(|error| undrawable(&error))?;
                let path = directory.join(format!("episode_{:03}_step_{step:05}.png", number + 1));
                fs::write(&path, png).map_err(|error| unwritable(&path, &error))?;
            }
        }
        Ok(directory)
    }
}

impl<'a> Target<'a> {
    fn of(path: &'a Path) -> Result<Self, Failure> {
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
        match ending.as_deref() {
            Some("gif") => Ok(Self::Gif(path)),
            None => Ok(Self::Frames(path)),
            _ if path.is_dir() => Ok(Self::Frames(path)),
            Some(_) => Err(Failure::usage(format!(
                "--render {}: expected a name that ends in .gif, or a directory for PNG frames\n  help: other formats can be \
                 made of the frames, for example by ffmpeg -i frames/episode_001_step_%05d.png film.mp4",
                path.display()
            ))),
        }
    }

    /// Makes the directories, and refuses what could not be written after a long evaluation.
    fn prepare(&self) -> Result<(), Failure> {
        let directory = match self {
            Self::Gif(path) if path.is_dir() => {
                return Err(Failure::usage(format!("--render {}: it is a directory", path.display())));
            }
            Self::Gif(path) => path.parent().unwrap_or(path),
            Self::Frames(path) => path,
        };
        if directory.as_os_str().is_empty() {
            return self.try_writing();
        }
        fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
        self.try_writing()?;
        let entries = fs::read_dir(directory).map_err(|error| unusable(directory, &error))?;
        let is_frame = |name: &str| name.starts_with("episode_");
        let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        if matches!(self, Self::Frames(_)) && names.any(|name| is_frame(&name)) {
            let shown = directory.display();
            let problem = format!("--render {shown}: the directory holds frames already");
            return Err(Failure::usage(format!("{problem}\n  help: name another one, or remove it")));
        }
        Ok(())
    }
}

impl Target<'_> {
    /// Makes a file where pictures will be, and removes it.
    fn try_writing(&self) -> Result<(), Failure> {
        let (path, trial) = match self {
            Self::Gif(path) => (path, part_of(path)),
            Self::Frames(directory) => (directory, directory.join("episode_001_step_00000.png.part")),
        };
        let tried = fs::write(&trial, []).and_then(|()| fs::remove_file(&trial));
        tried.map_err(|error| unusable(path, &error))
    }
}

/// The name under which an animation is written first.
fn part_of(path: &Path) -> PathBuf {
    path.with_extension("gif.part")
}

impl Rendered {
    pub(crate) fn to_text(&self) -> String {
        let plural =
            |count: usize, thing: &str| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
        let (episodes, frames) = (plural(self.episodes, "episode"), plural(self.frames, "frame"));
        format!("rendered: {} ({episodes}, {frames}, {} per second)", self.path.display(), self.fps)
    }

    pub(crate) fn to_value(&self) -> Value {
        json!({ "path": self.path, "episodes": self.episodes, "frames": self.frames, "fps": self.fps })
    }
}

fn unusable(directory: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("--render: {} cannot be used: {error}", directory.display()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    failed(format!("could not write {}: {error}", path.display()))
}

fn undrawable(error: &DrawError) -> Failure {
    failed(error.to_string())
}

fn failed(message: String) -> Failure {
    Failure { status: ExitStatus::Failed, message }
}
