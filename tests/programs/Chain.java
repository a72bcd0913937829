import com.sun.net.httpserver.HttpServer;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;

/** One link of a chain of services, as chain.py says: a pool of threads. java Chain.java UPSTREAM BACKGROUND PORT */
public class Chain {
    static int upstream, port;

    record Call(int port, String path) {}

    static void ask(Call call) {
        try {
            var url = URI.create("http://127.0.0.1:" + call.port + call.path).toURL();
            var connection = (HttpURLConnection) url.openConnection();
            var failed = connection.getResponseCode() >= 400;
            var body = failed ? connection.getErrorStream() : connection.getInputStream();
            body.readAllBytes();
            body.close();
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static Call to(String kind, String name, int n) {
        return new Call(upstream, "/" + kind + "/" + name + "." + n);
    }

    static List<List<Call>> plan(String kind, String name) {
        if (upstream == 0) {
            return List.of();
        }
        return switch (kind) {
            case "s" -> name.split("\\.").length <= 3
                    ? List.of(List.of(new Call(port, "/s/" + name + ".1")))
                    : List.of();
            case "c" -> List.of(List.of(to("c", name, 1)));
            case "d" -> List.of(List.of(to("l", name, 1)));
            case "q" -> List.of(List.of(to("l", name, 1)), List.of(to("l", name, 2)));
            case "p" -> List.of(List.of(to("l", name, 1), to("l", name, 2), to("l", name, 3)));
            case "r" -> List.of(List.of(to("f", name, 1)), List.of(to("l", name, 2)));
            default -> List.of();
        };
    }

    public static void main(String[] arguments) throws Exception {
        upstream = Integer.parseInt(arguments[0]);
        port = Integer.parseInt(arguments[2]);
        System.setProperty("http.maxConnections", "256");
        System.setProperty("sun.net.httpserver.nodelay", "true");
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 256);
        var parallel = Executors.newCachedThreadPool();
        server.createContext("/", exchange -> {
            var parts = exchange.getRequestURI().getPath().split("/");
            try {
                var random = ThreadLocalRandom.current();
                if (parts[1].equals("d")) {
                    Thread.sleep(1 + random.nextInt(19));
                } else if (parts[1].equals("l")) {
                    Thread.sleep(random.nextInt(4));
                }
                for (var group : plan(parts[1], parts[2])) {
                    if (group.size() == 1) {
                        ask(group.get(0));
                        continue;
                    }
                    var asking = group.stream().map(one -> parallel.submit(() -> ask(one))).toList();
                    for (var one : asking) {
                        one.get();
                    }
                }
            } catch (Exception error) {
                throw new RuntimeException(error);
            }
            var body = "ok".getBytes(StandardCharsets.US_ASCII);
            exchange.sendResponseHeaders(parts[1].equals("f") ? 503 : 200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(64));
        server.start();
        if (!arguments[1].equals("0")) {
            var own = new Thread(() -> {
                for (int n = 0; ; n++) {
                    try {
                        Thread.sleep(2 + ThreadLocalRandom.current().nextInt(6));
                    } catch (InterruptedException stop) {
                        return;
                    }
                    ask(new Call(upstream, "/" + arguments[1] + "/b" + n));
                }
            });
            own.setDaemon(true);
            own.start();
        }
    }
}
