package streamlens.flink;

import static org.apache.beam.runners.fnexecution.control.BundleCheckpointHandlers.StateAndTimerBundleCheckpointHandler.SDF_PREFIX;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.OptionalLong;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.BundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.DelayedBundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleResponse;
import org.apache.beam.runners.core.StateInternals;
import org.apache.beam.runners.core.StateInternalsFactory;
import org.apache.beam.runners.core.StateNamespace;
import org.apache.beam.runners.core.StateNamespaces;
import org.apache.beam.runners.core.StateTag;
import org.apache.beam.runners.core.StateTags;
import org.apache.beam.runners.core.TimerInternalsFactory;
import org.apache.beam.runners.fnexecution.control.BundleCheckpointHandler;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.StringUtf8Coder;
import org.apache.beam.sdk.state.MapState;
import org.apache.beam.sdk.state.TimeDomain;
import org.apache.beam.sdk.state.ValueState;
import org.apache.beam.sdk.transforms.windowing.BoundedWindow;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.joda.time.Duration;
import org.joda.time.Instant;

/**
 * What a splittable DoFn handed back (its residual), kept until its timer fires.
 *
 * <p>The runner's own handler keeps each residual under a state name of its own and never removes
 * it. Flink writes every name it ever saw into every checkpoint, so checkpoints grow for ever
 * (apache/beam#27648). Here all residuals of a key and window share one map, under one name, and
 * leave it when they are taken.
 *
 * <p>A timer's id is the residual's key in the map, the first one that is free there. So no
 * residual replaces another that waits, be it of this run or restored.
 *
 * <p>Beam's ExecutableStageDoFnOperator calls both methods: the pom sees to that.
 */
public final class SelfCheckpoints<T> implements BundleCheckpointHandler {

  /** The one state name. */
  private static final String WAITING = "sdf_residuals";

  private static final long END_OF_TIME = BoundedWindow.TIMESTAMP_MAX_VALUE.getMillis();

  private final TimerInternalsFactory<T> timers;
  private final StateInternalsFactory<T> states;
  private final Coder<WindowedValue<T>> coder;
  private final Coder<BoundedWindow> windowCoder;

  public SelfCheckpoints(
      TimerInternalsFactory<T> timers,
      StateInternalsFactory<T> states,
      Coder<WindowedValue<T>> coder,
      Coder<BoundedWindow> windowCoder) {
    this.timers = timers;
    this.states = states;
    this.coder = coder;
    this.windowCoder = windowCoder;
  }

  /** At the end of a bundle: keeps each residual, and sets the timer that resumes it. */
  @Override
  public void onCheckpoint(ProcessBundleResponse response) {
    for (DelayedBundleApplication root : response.getResidualRootsList()) {
      if (root.hasApplication()) {
        keep(root.getApplication(), Instant.now().plus(delay(root)));
      }
    }
  }

  /**
   * When a timer fires: its residual, which waits no more. The state is that of the timer's key. A
   * timer without a residual fails the job: its reader would be lost in silence.
   */
  public static <T> WindowedValue<T> take(
      StateInternals states,
      StateNamespace namespace,
      String timerId,
      Coder<WindowedValue<T>> coder) {
    MapState<String, WindowedValue<T>> waiting = states.state(namespace, waiting(coder));
    WindowedValue<T> residual = waiting.get(timerId).read();
    if (residual != null) {
      waiting.remove(timerId);
      return residual;
    }
    // Restored from a checkpoint of the runner's own handler: the timer's id is the state's name.
    ValueState<WindowedValue<T>> alone = states.state(namespace, StateTags.value(timerId, coder));
    residual = alone.read();
    if (residual == null) {
      throw new IllegalStateException("no residual waits for the timer " + timerId);
    }
    alone.clear();
    return residual;
  }

  private void keep(BundleApplication application, Instant due) {
    WindowedValue<T> residual;
    try {
      residual = CoderUtils.decodeFromByteArray(coder, application.getElement().toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException("a residual that cannot be decoded", e);
    }
    T value = residual.getValue(); // the runner finds the key in it
    for (BoundedWindow window : residual.getWindows()) {
      StateNamespace namespace = StateNamespaces.window(windowCoder, window);
      MapState<String, WindowedValue<T>> waiting =
          states.stateInternalsForKey(value).state(namespace, waiting(coder));
      String timerId = firstFree(waiting);
      timers
          .timerInternalsForKey(value)
          .setTimer(namespace, timerId, "", due, hold(application), TimeDomain.PROCESSING_TIME);
      waiting.put(
          timerId,
          WindowedValues.of(value, residual.getTimestamp(), window, residual.getPaneInfo()));
    }
  }

  /** The runner knows these timers by their prefix; its own ids have two numbers, these one. */
  private static String firstFree(MapState<String, ?> waiting) {
    int number = 0;
    while (waiting.get(SDF_PREFIX + ":" + number).read() != null) {
      number++;
    }
    return SDF_PREFIX + ":" + number;
  }

  private static <T> StateTag<MapState<String, WindowedValue<T>>> waiting(
      Coder<WindowedValue<T>> coder) {
    return StateTags.map(WAITING, StringUtf8Coder.of(), coder);
  }

  /** How long the DoFn wants to wait; nothing when it does not say. */
  private static Duration delay(DelayedBundleApplication root) {
    return Duration.millis(
        millis(root.getRequestedTimeDelay().getSeconds(), root.getRequestedTimeDelay().getNanos()));
  }

  /** What the output's watermark is held at until then: the beginning of time when not said. */
  private static Instant hold(BundleApplication application) {
    OptionalLong earliest =
        application.getOutputWatermarksMap().values().stream()
            .mapToLong(mark -> millis(mark.getSeconds(), mark.getNanos()))
            .min();
    return earliest.isEmpty()
        ? BoundedWindow.TIMESTAMP_MIN_VALUE
        : Instant.ofEpochMilli(Math.min(earliest.getAsLong(), END_OF_TIME));
  }

  private static long millis(long seconds, int nanos) {
    return seconds * 1000 + nanos / 1_000_000;
  }
}
