import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** java.net.http: 200 requests to each PORT, five statuses in turn. java TallyClient.java PORT .. */
public class TallyClient {
    public static void main(String[] ports) throws Exception {
        int[] statuses = {200, 404, 429, 500, 503};
        var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        for (var port : ports) {
            for (int i = 0; i < 200; i++) {
                int status = statuses[i % statuses.length];
                var uri = URI.create("http://127.0.0.1:" + port + "/status/" + status);
                var answer = client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString());
                if (answer.statusCode() != status || answer.body().length() != 10) {
                    throw new AssertionError(answer.statusCode() + " for " + status);
                }
            }
        }
    }
}
