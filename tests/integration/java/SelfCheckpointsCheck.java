import java.util.ArrayList;
import java.util.List;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.BundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.DelayedBundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleResponse;
import org.apache.beam.runners.core.InMemoryStateInternals;
import org.apache.beam.runners.core.InMemoryTimerInternals;
import org.apache.beam.runners.core.StateNamespace;
import org.apache.beam.runners.core.StateNamespaces;
import org.apache.beam.runners.core.TimerInternals.TimerData;
import org.apache.beam.runners.fnexecution.control.BundleCheckpointHandler;
import org.apache.beam.runners.fnexecution.control.BundleCheckpointHandlers.StateAndTimerBundleCheckpointHandler;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.StringUtf8Coder;
import org.apache.beam.sdk.transforms.windowing.BoundedWindow;
import org.apache.beam.sdk.transforms.windowing.GlobalWindow;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.ByteString;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Duration;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Timestamp;
import org.joda.time.Instant;
import streamlens.flink.SelfCheckpoints;

/** Prints what becomes of residuals; tests/integration/test_job_server.py says what it should. */
final class SelfCheckpointsCheck {
  @SuppressWarnings({"rawtypes", "unchecked"})
  static final Coder<BoundedWindow> WINDOWS = (Coder) GlobalWindow.Coder.INSTANCE;

  static final Coder<WindowedValue<String>> CODER =
      WindowedValues.getFullCoder(StringUtf8Coder.of(), WINDOWS);
  static final StateNamespace WINDOW = StateNamespaces.window(WINDOWS, GlobalWindow.INSTANCE);

  final InMemoryStateInternals<String> states = InMemoryStateInternals.forKey("all of one key");
  final InMemoryTimerInternals timers = new InMemoryTimerInternals();
  final BundleCheckpointHandler ours =
      new SelfCheckpoints<>(key -> timers, key -> states, CODER, WINDOWS);
  final BundleCheckpointHandler theirs =
      new StateAndTimerBundleCheckpointHandler<>(key -> timers, key -> states, CODER, WINDOWS);

  public static void main(String[] arguments) throws Exception {
    SelfCheckpointsCheck check = new SelfCheckpointsCheck();
    check.theirs.onCheckpoint(bundle("old"));
    check.ours.onCheckpoint(bundle("a", "b"));
    check.ours.onCheckpoint(bundle("c"));
    for (TimerData timer : check.fire()) {
      System.out.println(timer.getTimerId() + " " + check.take(timer.getTimerId()));
    }
    check.ours.onCheckpoint(bundle("d"));
    for (TimerData timer : check.fire()) {
      System.out.println(timer.getTimerId() + " " + check.take(timer.getTimerId()));
      System.out.println("held at " + timer.getOutputTimestamp().getMillis());
      long wait = timer.getTimestamp().getMillis() - Instant.now().getMillis();
      System.out.println("waits " + (wait > 240_000 && wait <= 250_500));
      try {
        check.take(timer.getTimerId());
      } catch (IllegalStateException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  /** All timers that are set, by when they were set. */
  List<TimerData> fire() throws Exception {
    List<TimerData> fired = new ArrayList<>();
    timers.advanceProcessingTime(Instant.now().plus(3_600_000));
    for (TimerData timer; (timer = timers.removeNextProcessingTimer()) != null; ) {
      fired.add(timer);
    }
    return fired;
  }

  String take(String timerId) {
    return SelfCheckpoints.take(states, WINDOW, timerId, CODER).getValue();
  }

  static ProcessBundleResponse bundle(String... residuals) throws Exception {
    ProcessBundleResponse.Builder bundle = ProcessBundleResponse.newBuilder();
    for (String residual : residuals) {
      byte[] element =
          CoderUtils.encodeToByteArray(CODER, WindowedValues.valueInGlobalWindow(residual));
      bundle.addResidualRoots(
          DelayedBundleApplication.newBuilder()
              .setRequestedTimeDelay(Duration.newBuilder().setSeconds(250).setNanos(500_000_000))
              .setApplication(
                  BundleApplication.newBuilder()
                      .setElement(ByteString.copyFrom(element))
                      .putOutputWatermarks("late", mark(1_700_000_009, 0))
                      .putOutputWatermarks("early", mark(1_700_000_000, 250_000_000))));
    }
    return bundle.build();
  }

  static Timestamp mark(long seconds, int nanos) {
    return Timestamp.newBuilder().setSeconds(seconds).setNanos(nanos).build();
  }
}
