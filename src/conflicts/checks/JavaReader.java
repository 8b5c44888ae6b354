import com.sun.source.util.JavacTask;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/** Reads Java for the checks: parses with javac's own parser, never compiles or runs. Protocol as in python-reader.py. */
public class JavaReader {
  static final class Source extends SimpleJavaFileObject {
    private final String text;

    Source(String text) {
      super(URI.create("string:///Source.java"), Kind.SOURCE);
      this.text = text;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return text;
    }
  }

  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(System.out, true, "UTF-8");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      int comma = line.indexOf(',');
      String id = line.substring(line.indexOf(':') + 1, comma).trim();
      String text = unquote(line, line.indexOf('"', line.indexOf(':', comma)) + 1);
      out.println("{\"id\":" + id + ",\"error\":" + read(text) + "}");
    }
  }

  static String read(String text) {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
    try {
      JavacTask task =
          (JavacTask) compiler.getTask(null, null, found, List.of("-proc:none"), null, new ArrayList<>(List.of(new Source(text))));
      task.parse();
    } catch (Throwable error) {
      return "{\"line\":1,\"says\":" + quote(error.getClass().getSimpleName()) + "}";
    }
    for (Diagnostic<? extends JavaFileObject> one : found.getDiagnostics()) {
      if (one.getKind() != Diagnostic.Kind.ERROR) continue;
      return "{\"line\":" + one.getLineNumber() + ",\"says\":" + quote(one.getMessage(null)) + "}";
    }
    return "null";
  }

  static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.substring(0, Math.min(200, text.length())).toCharArray()) {
      if (c == '"' || c == '\\') quoted.append('\\').append(c);
      else if (c < ' ') quoted.append(' ');
      else quoted.append(c);
    }
    return quoted.append('"').toString();
  }

  static String unquote(String line, int from) {
    StringBuilder text = new StringBuilder(line.length());
    for (int i = from; i < line.length() && line.charAt(i) != '"'; i++) {
      char c = line.charAt(i);
      if (c != '\\') {
        text.append(c);
        continue;
      }
      char e = line.charAt(++i);
      switch (e) {
        case 'n' -> text.append('\n');
        case 't' -> text.append('\t');
        case 'r' -> text.append('\r');
        case 'b' -> text.append('\b');
        case 'f' -> text.append('\f');
        case 'u' -> {
          text.append((char) Integer.parseInt(line.substring(i + 1, i + 5), 16));
          i += 4;
        }
        default -> text.append(e);
      }
    }
    return text.toString();
  }
}
