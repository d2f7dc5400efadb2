import java.net.Authenticator;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;

/** Prints the answer to a request for a token, its status first. Arguments: URL, caller, key, audience. */
class JavaCaller {
  static HttpResponse<String> token(String url, String caller, String key, String audience) throws Exception {
    var client = HttpClient.newBuilder().authenticator(new Authenticator() {
      @Override
      protected PasswordAuthentication getPasswordAuthentication() {
        return new PasswordAuthentication(caller, key.toCharArray());
      }
    }).build();
    var form = "grant_type=client_credentials&audience=" + URLEncoder.encode(audience, StandardCharsets.UTF_8);
    var request = HttpRequest.newBuilder(URI.create(url + "/oauth/token"))
      .header("Content-Type", "application/x-www-form-urlencoded")
      .POST(HttpRequest.BodyPublishers.ofString(form)).build();
    return client.send(request, HttpResponse.BodyHandlers.ofString());
  }

  public static void main(String[] arguments) throws Exception {
    try {
      var answer = token(arguments[0], arguments[1], arguments[2], arguments[3]);
      var retryAfter = answer.headers().firstValue("Retry-After").isPresent();
      System.out.println(answer.statusCode() + (retryAfter ? " (Retry-After)" : "") + "\n" + answer.body());
    } catch (java.io.IOException error) {
      System.out.println(error);
    }
  }
}
